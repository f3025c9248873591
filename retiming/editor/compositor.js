// The composite of an output frame by WebGL, as retiming/compositor.py makes it: premultiplied, back to front, what
// moves sampled bicubically. Not made here, but by the server when the picture stands still: optical flow (mixed
// instead), the low pass of layers that are made smaller, and the later frames of a video in the background's place.
"use strict";

const CACHE_BYTES = 384 * 2 ** 20;
const LOADING_AT_ONCE = 6;

// Pictures of layers on the graphics card, the latest used of them. `source` fetches them (sources.js).
class Pictures {
  constructor(gl, source, onLoaded, onError) {
    Object.assign(this, {gl, source, onLoaded, onError, kept: new Map(), waiting: new Map(), failed: [], loading: 0,
                         bytes: 0});
    this.nothing = {empty: true, texture: this.texture(new ImageData(1, 1)), x: 0, y: 0, bytes: 0};
  }

  // The picture, or undefined while it is on its way.
  get(kind, layer, frame) {
    const key = `${kind} ${layer} ${frame}`, found = this.kept.get(key);
    if (found) {
      this.kept.delete(key);
      this.kept.set(key, found);
    } else if (!this.waiting.has(key)) {
      this.waiting.set(key, () => this.source[kind](layer, frame));
      this.loadNext();
    }
    return found;
  }

  // Leave aside what has not begun to load: something else is looked at now.
  forget() {
    for (const [key, load] of this.waiting) if (load) this.waiting.delete(key);
  }

  // What could not be had may be had now.
  retry() {
    for (const key of this.failed.splice(0)) this.kept.delete(key);
  }

  async loadNext() {
    const next = [...this.waiting].find(([, load]) => load);
    if (!next || this.loading >= LOADING_AT_ONCE) return;
    const [key, load] = next;
    this.waiting.set(key, null);
    this.loading++;
    try {
      this.keep(key, await load());
    } catch (error) {
      this.kept.set(key, this.nothing);
      this.failed.push(key);
      this.onError(error);
    }
    this.waiting.delete(key);
    this.loading--;
    this.loadNext();
    this.onLoaded();
  }

  keep(key, picture) {
    if (!picture) {
      this.kept.set(key, this.nothing);
      return;
    }
    const {bitmap, x, y} = picture, {width, height} = bitmap;
    this.kept.set(key, {texture: this.texture(bitmap), x, y, width, height, bytes: 4 * width * height});
    this.bytes += 4 * width * height;
    bitmap.close();
    for (const [oldest, old] of this.kept) {
      if (this.bytes <= CACHE_BYTES || oldest === key) break;
      this.kept.delete(oldest);
      this.bytes -= old.bytes;
      if (!old.empty) this.gl.deleteTexture(old.texture);
    }
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
  result = value * opacity;
}`;

class WebGLCompositor {
  // `onLoaded()` is called when a picture has come, `onError(error)` when one could not be had.
  constructor(canvas, clip, source, onLoaded, onError) {
    [canvas.width, canvas.height] = clip.size;
    const gl = canvas.getContext("webgl2", {premultipliedAlpha: true, antialias: false, depth: false});
    if (!gl) throw new Error("this browser has no WebGL 2; switch hardware or software rendering on");
    Object.assign(this, {canvas, clip, gl, pictures: new Pictures(gl, source, onLoaded, onError), programs: {}});
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

  // Draws an output frame if all of its pictures are there, else asks for them; tells whether it has. What moves with
  // the camera is sampled bilinearly where it is to go quickly.
  draw(values, output, quick = false) {
    const {gl, clip} = this, {camera, draws, background} = drawsOf(values, clip, output);
    const {replace, colour} = background;
    const parts = [];
    this.pictures.forget();
    if (!replace) {
      const part = {layer: 0, opacity: 1, effects: 1, colour};
      parts.push({...part, time: camera});
      if (background.time !== camera) parts.push({...part, time: background.time});
    } else if (replace !== "transparent" && !replace.startsWith("#")) {
      parts.push({layer: replace, kind: "replacement", time: 0, opacity: 1, effects: 1, colour});
    }
    const ready = [...parts, ...draws].map((draw) => this.prepared(draw, camera));
    if (ready.some((draw) => !draw)) return false;
    const isColour = replace?.startsWith("#"), [r, g, b] = isColour ? colourOf(replace) : [0, 0, 0];
    const ground = [0, 3, 6].map((i) => Math.min(colour[i] * r + colour[i + 1] * g + colour[i + 2] * b, 1));
    gl.scissor(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...ground, isColour ? 1 : 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    ready.forEach((draw) => this.put(draw, quick));
    return true;
  }

  // Asks for the pictures of an output frame that will soon be shown.
  prepare(values, output) {
    const {camera, draws, background} = drawsOf(values, this.clip, output);
    if (!background.replace) this.picture("picture", 0, camera);
    draws.forEach((draw) => this.prepared(draw, camera));
  }

  picture(kind, layer, frame) {
    return this.pictures.get(kind, layer, layer === 0 && this.clip.still_background ? 0 : frame);
  }

  // A draw with its one or two pictures and where they go; null while they are on their way.
  prepared(draw, camera) {
    const first = Math.floor(draw.time), share = draw.time - first, frames = share ? [first, first + 1] : [first];
    const affects = draw.effects !== 1, kind = draw.kind ?? "picture";
    const pictures = frames.map((frame) => this.picture(kind, draw.layer, frame));
    const people = affects ? frames.map((frame) => this.picture("person", draw.layer, frame)) : [];
    if ([...pictures, ...people].some((picture) => !picture)) return null;
    const matrices = frames.map((frame) => {
      const motion = kind === "picture" ? cameraMotion(this.clip, frame, camera) : null;
      return motion && draw.placement ? product(draw.placement, motion) : motion ?? draw.placement;
    });
    return {...draw, share, affects, pictures, people, matrices};
  }

  put({pictures, people, matrices, share, affects, effects, opacity, colour}, quick) {
    const {gl} = this;
    const boxes = pictures.map((picture, i) => this.box(picture, matrices[i])).filter((box) => box);
    if (!boxes.length) return;
    const [left, top] = [0, 1].map((i) => Math.min(...boxes.map((box) => box[i])));
    const [right, bottom] = [2, 3].map((i) => Math.max(...boxes.map((box) => box[i])));
    const moves = matrices.some((matrix) => matrix);
    const needs = {MOVES: moves, QUICK: moves && quick, MIXES: pictures.length > 1, AFFECTS: affects,
                   COLOURS: colour.some((value, i) => value !== IDENTITY[i])};
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
}
