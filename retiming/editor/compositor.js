// The composite of an output frame by WebGL, as retiming/compositor.py makes it: premultiplied, back to front, what
// moves sampled bicubically. Not made here, but by the server when the picture stands still: optical flow (mixed
// instead), the low pass of layers that are made smaller, and the later frames of a video in the background's place.
"use strict";

const CACHE_BYTES = 384 * 2 ** 20;
const MOST_KNOWN = 1000;  // output frames
const MOST_PATHS = 1000;  // of layers in a frame through all others

// Pictures of layers on the graphics card, as many as there is room for. `source` gives them (sources.js).
class Pictures {
  constructor(gl, source, loads, onLoaded, onError) {
    Object.assign(this, {gl, source, loads, onLoaded, onError, kept: new Map(), bytes: 0, most: CACHE_BYTES, turn: 0,
                         bytesOfTurn: 0, loops: false, paths: new Map()});
    this.nothing = {empty: true, texture: this.texture(new ImageData(1, 1)), x: 0, y: 0, bytes: 0};
  }

  // From here on something else is looked at: what has not begun to load for it is left aside.
  begin() {
    this.turn++;
    this.bytesOfTurn = 0;
    this.loads.forget(0, 1);
  }

  // The picture, or undefined while it is on its way. Rank 0: it is looked at; 1: it soon will be; null: it is not asked
  // for.
  get(kind, layer, frame, rank) {
    const key = `${kind} ${layer} ${frame}`, found = this.kept.get(key);
    if (found) {
      this.kept.delete(key);
      this.kept.set(key, found);
      if (found.turn !== this.turn) this.bytesOfTurn += found.bytes;
      found.turn = this.turn;
      return found;
    }
    if (this.loads.failed.has(key)) return this.nothing;
    if (rank === null) return undefined;
    this.loads.ask(key, rank, () => this.source[kind](layer, frame), (picture) => {
      this.keep(key, picture);
      this.onLoaded();
    }, (error) => {
      this.onError(error);
      this.onLoaded();
    });
  }

  // Where a layer of a frame belongs in all others, before a camera that walks: four numbers each (see motion_path of
  // page.py); undefined while they are on their way. Ranks as of `get`.
  path(layer, frame, rank) {
    const key = `path ${layer} ${frame}`, found = this.paths.get(key);
    if (found) return found;
    if (this.loads.failed.has(key)) return [];
    if (rank === null) return undefined;
    this.loads.ask(key, rank, () => this.source.path(layer, frame), (path) => {
      this.paths.set(key, path);
      if (this.paths.size > MOST_PATHS) this.paths.delete(this.paths.keys().next().value);
      this.onLoaded();
    }, (error) => {
      this.onError(error);
      this.onLoaded();
    });
  }

  // Whether there is room for more that is not looked at yet.
  get hasRoom() { return this.bytesOfTurn < this.most / 2; }

  keep(key, picture) {
    if (!picture) {
      this.kept.set(key, {...this.nothing});
      return;
    }
    const {bitmap, x, y} = picture, {width, height} = bitmap, bytes = 4 * width * height;
    this.kept.set(key, {texture: this.texture(bitmap), x, y, width, height, bytes, turn: this.turn});
    this.bytes += bytes;
    this.bytesOfTurn += bytes;
    bitmap.close();
    for (const oldest of this.bytes > this.most ? this.spared(key) : []) {
      const old = this.kept.get(oldest);
      this.kept.delete(oldest);
      this.bytes -= old.bytes;
      if (!old.empty) this.gl.deleteTexture(old.texture);
      if (this.bytes <= this.most) break;
    }
  }

  // Keys in the order in which they are done without: those first that were not looked at for longest; while all is played
  // over and over, those that were shown just now, since it takes longest until they are shown again. What is in use now
  // comes last.
  spared(newest) {
    const keys = [...this.kept.keys()].filter((key) => key !== newest);
    const isUsed = (key) => this.kept.get(key).turn === this.turn, free = keys.filter((key) => !isUsed(key));
    return [...this.loops ? free.reverse() : free, ...keys.filter(isUsed)];
  }

  texture(image) {
    const {gl} = this, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, image);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    return texture;
  }
}

const VERTEX = `void main() { gl_Position = vec4(vec2[](vec2(-1, -1), vec2(3, -1), vec2(-1, 3))[gl_VertexID], 0, 1); }`;

// Made for what a draw needs (see `needs`), because software renderers pay for every branch.
const FRAGMENT = `precision highp float;
precision highp sampler2D;
uniform sampler2D first, second, firstPerson, secondPerson;
uniform mat3 toFirst, toSecond, colour;   // from pixels of the output to those of the pictures
uniform float share, opacity, effects, outputHeight;
out vec4 result;

vec4 texel(sampler2D picture, sampler2D person, ivec2 at) {
  ivec2 size = textureSize(picture, 0);
  if (any(lessThan(at, ivec2(0))) || any(greaterThanEqual(at, size))) return vec4(0);
  vec4 value = texelFetch(picture, at, 0);
#ifdef AFFECTS
  float factor = mix(effects, 1., texelFetch(person, at, 0).r);
  value *= min(factor, 1. / max(value.a, 1e-6));
#endif
  return value;
}

vec4 weights(float x) {   // cubic convolution with a = -0.75, as OpenCV has it
  vec4 d = vec4(1. + x, x, 1. - x, 2. - x), a = vec4(-0.75);
  vec4 near = ((a + 2.) * d - (a + 3.)) * d * d + 1., far = ((a * d - 5. * a) * d + 8. * a) * d - 4. * a;
  return vec4(far.x, near.y, near.z, far.w);
}

#ifdef MOVES
vec4 at(sampler2D picture, sampler2D person, mat3 matrix, vec2 pixel) {
  vec3 place = matrix * vec3(pixel, 1);
  if (place.z <= 0.) return vec4(0);
  vec2 source = place.xy / place.z;
  if (any(lessThan(source, vec2(-2))) || any(greaterThan(source, vec2(textureSize(picture, 0) + 1)))) return vec4(0);
  ivec2 corner = ivec2(floor(source));
#ifdef QUICK
  vec2 part = source - vec2(corner);
  vec4 above = mix(texel(picture, person, corner), texel(picture, person, corner + ivec2(1, 0)), part.x);
  corner.y++;
  vec4 below = mix(texel(picture, person, corner), texel(picture, person, corner + ivec2(1, 0)), part.x);
  return mix(above, below, part.y);
#else
  vec4 across = weights(source.x - float(corner.x)), down = weights(source.y - float(corner.y)), sum = vec4(0);
  for (int j = 0; j < 4; j++)
    for (int i = 0; i < 4; i++)
      sum += across[i] * down[j] * texel(picture, person, corner + ivec2(i - 1, j - 1));
  sum.a = clamp(sum.a, 0., 1.);
  return vec4(clamp(sum.rgb, 0., sum.a), sum.a);
#endif
}
#else
vec4 at(sampler2D picture, sampler2D person, mat3 matrix, vec2 pixel) {
  return texel(picture, person, ivec2(floor((matrix * vec3(pixel, 1)).xy + 0.5)));
}
#endif

void main() {
  vec2 pixel = vec2(gl_FragCoord.x - 0.5, outputHeight - gl_FragCoord.y - 0.5);
  vec4 value = at(first, firstPerson, toFirst, pixel);
#ifdef MIXES
  value = mix(value, at(second, secondPerson, toSecond, pixel), share);
#endif
#ifdef COLOURS
  value.rgb = clamp(colour * value.rgb, 0., value.a);
#endif
#ifdef MATTE
  value.rgb = value.aaa;
#endif
  result = value * opacity;
}`;

const WHOLE = {layer: null, matte: false};  // a view: everything, in colour

class WebGLCompositor {
  // `onLoaded()` is called when a picture has come, `onError(error)` when one could not be had.
  constructor(canvas, clip, source, loads, onLoaded, onError) {
    [canvas.width, canvas.height] = clip.size;
    const gl = canvas.getContext("webgl2", {premultipliedAlpha: true, antialias: false, depth: false,
                                            preserveDrawingBuffer: true});
    if (!gl) throw new Error("this browser has no WebGL 2; switch hardware or software rendering on");
    Object.assign(this, {canvas, clip, gl, pictures: new Pictures(gl, source, loads, onLoaded, onError), programs: {},
                         known: new Map()});
    gl.enable(gl.BLEND);
    gl.enable(gl.SCISSOR_TEST);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  // Uniforms of the program for some needs, by name; the program is made when it is first needed, and used.
  use(needs) {
    const {gl} = this, key = needs.join(" ");
    if (!(key in this.programs)) {
      const program = gl.createProgram(), defined = needs.map((need) => `#define ${need}\n`).join("");
      for (const [type, code] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
        const shader = gl.createShader(type);
        gl.shaderSource(shader, `#version 300 es\n${defined}${code}`);
        gl.compileShader(shader);
        gl.attachShader(program, shader);
      }
      gl.linkProgram(program);
      if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`WebGL: ${gl.getProgramInfoLog(program)}`);
      const at = {};
      for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
        const {name} = gl.getActiveUniform(program, i);
        at[name] = gl.getUniformLocation(program, name);
      }
      gl.useProgram(program);
      ["first", "second", "firstPerson", "secondPerson"].forEach((name, unit) => gl.uniform1i(at[name] ?? null, unit));
      gl.uniform1f(at.outputHeight, this.canvas.height);
      this.programs[key] = {program, at};
    }
    gl.useProgram(this.programs[key].program);
    return this.programs[key].at;
  }

  // Draws what is looked at if all of its pictures are there, else asks for them; tells whether it has.
  //
  // `parts`: [{values, output, left, right}], each an edit's output frame, in the columns from `left` to `right`, which
  // need not be given. `view`: {layer, matte}: the number of a layer (0 is the background) that is shown alone, and whether
  // its alpha is; both are for all people where `layer` is null. What moves with the camera is sampled bilinearly where it
  // is to go quickly.
  draw(parts, view = WHOLE, quick = false) {
    this.pictures.begin();
    const prepared = parts.map(({values, output}) => this.prepared(values, output, view, 0));
    if (prepared.some((part) => !part)) return false;
    prepared.forEach((part, i) => this.drawPart(part, view, quick, parts[i]));
    return true;
  }

  drawPart({ground, draws}, {matte}, quick, {left = 0, right = this.canvas.width}) {
    const {gl} = this;
    gl.scissor(left, 0, right - left, this.canvas.height);
    gl.clearColor(...ground);
    gl.clear(gl.COLOR_BUFFER_BIT);
    draws.forEach((draw) => this.put(draw, quick, matte, [left, right]));
  }

  // Whether the pictures of what soon will be looked at are there; else they may be asked for.
  isReady(parts, view = WHOLE, asks = true) {
    return parts.map(({values, output}) => this.prepared(values, output, view, asks ? 1 : null)).every(Boolean);
  }

  // What an edit's output frame is made of, kept for the last edits that were shown.
  drawsOf(values, output) {
    const {known} = this, draws = known.get(values)?.size < MOST_KNOWN ? known.get(values) : new Map();
    known.set(values, draws);
    if (known.size > 2) known.delete(known.keys().next().value);
    if (!draws.has(output)) draws.set(output, drawsOf(values, this.clip, output));
    return draws.get(output);
  }

  // The colour that lies behind all, and the draws with their pictures; null while they are on their way.
  prepared(values, output, {layer, matte}, rank) {
    const {camera, draws, background} = this.drawsOf(values, output), {replace, colour} = background;
    const hasGround = layer === 0 || (layer === null && !matte), parts = [];
    if (hasGround && !replace) {
      const part = {layer: 0, opacity: 1, effects: 1, colour};
      parts.push({...part, time: camera});
      if (background.time !== camera) parts.push({...part, time: background.time});
    } else if (hasGround && replace !== "transparent" && !replace.startsWith("#")) {
      parts.push({layer: replace, kind: "replacement", time: 0, opacity: 1, effects: 1, colour});
    }
    parts.push(...draws.filter((draw) => layer === null || draw.layer === layer));
    const ready = parts.map((draw) => this.withPictures(draw, camera, rank));
    if (ready.some((draw) => !draw)) return null;
    const isColour = hasGround && replace?.startsWith("#"), [r, g, b] = isColour ? colourOf(replace) : [0, 0, 0];
    const ground = [0, 3, 6].map((i) => Math.min(colour[i] * r + colour[i + 1] * g + colour[i + 2] * b, 1));
    return {draws: ready, ground: [...ground, isColour || matte ? 1 : 0]};
  }

  // A draw with its one or two pictures and where they go; null while they are on their way.
  withPictures(draw, camera, rank) {
    const first = Math.floor(draw.time), share = draw.time - first, frames = share ? [first, first + 1] : [first];
    const affects = draw.effects !== 1, kind = draw.kind ?? "picture", {layer} = draw;
    const pictures = frames.map((frame) =>
      this.pictures.get(kind, layer, layer === 0 ? this.clip.backgrounds[frame] : frame, rank));
    const people = affects ? frames.map((frame) => this.pictures.get("person", layer, frame, rank)) : [];
    const walks = this.clip.walks && layer !== 0 && kind === "picture";
    const paths = frames.map((frame) => (walks && frame !== camera ? this.pictures.path(layer, frame, rank) : []));
    if ([...pictures, ...people, ...paths].some((found) => !found)) return null;
    const matrices = frames.map((frame, i) => {
      const motion = kind === "picture" ? similarity(paths[i][camera]) ?? cameraMotion(this.clip, frame, camera) : null;
      return motion && draw.placement ? product(draw.placement, motion) : motion ?? draw.placement;
    });
    return {...draw, share, affects, pictures, people, matrices};
  }

  // Draws between two columns.
  put({pictures, people, matrices, share, affects, effects, opacity, colour}, quick, matte, [from, until]) {
    const {gl} = this;
    const boxes = pictures.map((picture, i) => this.box(picture, matrices[i])).filter((box) => box);
    if (!boxes.length) return;
    const left = Math.max(Math.min(...boxes.map((box) => box[0])), from);
    const right = Math.min(Math.max(...boxes.map((box) => box[2])), until);
    const [top, bottom] = [Math.min(...boxes.map((box) => box[1])), Math.max(...boxes.map((box) => box[3]))];
    if (left >= right) return;
    const moves = matrices.some((matrix) => matrix);
    const needs = {MOVES: moves, QUICK: moves && quick, MIXES: pictures.length > 1, AFFECTS: affects,
                   COLOURS: colour.some((value, i) => value !== IDENTITY[i]), MATTE: matte};
    const at = this.use(Object.keys(needs).filter((need) => needs[need]));
    gl.scissor(left, this.canvas.height - bottom, right - left, bottom - top);
    pictures.forEach((picture, i) => {
      gl.activeTexture(gl.TEXTURE0 + i);
      gl.bindTexture(gl.TEXTURE_2D, picture.texture);
      gl.activeTexture(gl.TEXTURE2 + i);
      gl.bindTexture(gl.TEXTURE_2D, people[i]?.texture ?? null);
      const fromPicture = product(matrices[i] ?? IDENTITY, [1, 0, picture.x, 0, 1, picture.y, 0, 0, 1]);
      gl.uniformMatrix3fv(at[i ? "toSecond" : "toFirst"], true, inverse(fromPicture));
    });
    gl.uniformMatrix3fv(at.colour ?? null, true, colour);
    gl.uniform1f(at.share ?? null, share);
    gl.uniform1f(at.opacity, opacity);
    gl.uniform1f(at.effects ?? null, effects);
    gl.activeTexture(gl.TEXTURE0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  // The part of the output that a picture reaches; null: none.
  box({empty, x, y, width, height}, matrix) {
    if (empty) return null;
    const size = [this.canvas.width, this.canvas.height];
    let box = [x, y, x + width, y + height];
    if (matrix) {
      const corners = [[x - 2, y - 2], [x + width + 1, y - 2], [x - 2, y + height + 1], [x + width + 1, y + height + 1]]
        .map(([u, v]) => [0, 3, 6].map((i) => matrix[i] * u + matrix[i + 1] * v + matrix[i + 2]));
      if (corners.some(([, , w]) => w <= 0)) return [0, 0, ...size];
      const us = corners.map(([u, , w]) => u / w), vs = corners.map(([, v, w]) => v / w);
      box = [Math.floor(Math.min(...us)), Math.floor(Math.min(...vs)), Math.ceil(Math.max(...us)) + 1,
             Math.ceil(Math.max(...vs)) + 1];
    }
    box = box.map((value, i) => Math.min(Math.max(value, 0), size[i % 2]));
    return box[0] < box[2] && box[1] < box[3] ? box : null;
  }

  // What is drawn in a pixel: straight RGBA.
  colourAt(x, y) {
    const {gl} = this, pixel = new Uint8Array(4);
    gl.readPixels(x, this.canvas.height - 1 - y, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    const [r, g, b, a] = pixel;
    return a ? [...[r, g, b].map((value) => Math.min(Math.round(value / a * 255), 255)), a] : [0, 0, 0, 0];
  }
}
