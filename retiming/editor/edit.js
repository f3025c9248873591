// What an edit file says (docs/layered_video/retiming.md), as retiming/edit.py and retiming/compositor.py read it. A
// value that this reading does not know stays in the file as it is; mistakes are told by the server. Frames count from
// 1 in the file and from 0 here.
"use strict";

const LIMITS = dataOf("limits");  // retiming/limits.json
const TRAIL = Object.fromEntries(Object.entries(LIMITS.trail).map(([key, limits]) => [key, limits.default]));
const LUMA = [0.2126, 0.7152, 0.0722];
const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];
const BACKGROUND = "background";

// An edit as the text of a file, lists of numbers in one line.
const fileText = (values) => `${JSON.stringify(values, null, 2)}\n`.replace(/\[[-\d.eE+[\],\s]*\]/g, (list) =>
  list.replace(/,\s*\n\s*/g, ", ").replace(/\s*\n\s*/g, ""));

// A number that may change, at an output frame; where handles would take it out of its limits it stays there.
function curveAt(value, frame, {low, high} = {low: -Infinity, high: Infinity}) {
  if (!Array.isArray(value)) return value;
  const keys = value.map(([at, ...rest]) => [at - 1, ...rest]);
  const next = keys.findIndex(([at]) => at > frame);
  if (next === 0) return keys[0][1];
  if (next < 0) return keys[keys.length - 1][1];
  if (keys.some(([, , handles]) => handles)) return Math.min(Math.max(eased(keys)(frame), low), high);
  const [[from, a], [to, b]] = [keys[next - 1], keys[next]];
  return (b - a) / (to - from) * (frame - from) + a;
}

const defaultOf = (key) => LIMITS.curves[key].default;

// A number of a layer that may change, or what it is where nothing is said.
const numberAt = (entry, key, frame) => curveAt(entry[key] ?? defaultOf(key), frame, LIMITS.curves[key]);

const STEP_DETAILS = ["ease", "frames"];  // beside "speed"
const stepName = (step) => Object.keys(step).find((key) => !STEP_DETAILS.includes(key));

function warpOf(step, clipLength) {
  const name = stepName(step), value = step[name];
  const frames = Array.isArray(value) ? value.map((item) => (Array.isArray(item) ? item : item - 1)) : null;
  switch (name) {
    case "offset": return timeWarps.offset(value);
    case "hold": return timeWarps.hold(value - 1);
    case "speed":
      if (step.frames) return timeWarps.stretch(step.frames[0] - 1, step.frames[1] - 1, value);
      return timeWarps.speed(frames ? value.map(([at, speed]) => [at - 1, speed]) : [[0, value]], step.ease);
    case "align": return timeWarps.align(value.map(([at, source, handles]) => [at - 1, source - 1, handles]));
    case "reverse": return value === true ? timeWarps.backwards(clipLength - 1) : timeWarps.reverse(...frames);
    case "freeze": return timeWarps.freeze(...frames);
    default: return timeWarps[name](frames[0], frames[1], value[2]);
  }
}

// The time steps of an instance, one after the other: from output time to source time, not clamped to the clip.
function warpOfSteps(steps, clipLength) {
  const warps = steps.map((step) => warpOf(step, clipLength)).reverse();
  return (t) => warps.reduce((time, warp) => warp(time), t);
}

// An instance of a layer, or the background: `sourceTime(output)` is null where nothing is shown.
function layerInstance(entry, layer, clip, interpolation) {
  const warp = warpOfSteps(entry.time ?? [], clip.length);
  const sourceTime = (output, begins = 0) => {
    const time = warp(output), clamped = Math.min(Math.max(time, 0), clip.length - 1);
    return output < begins || (entry.ends === "hide" && Math.abs(time - clamped) >= 0.5) ? null : clamped;
  };
  return {entry, layer, warp, sourceTime, interpolation: entry.interpolation ?? interpolation, behind: 0};
}

// Layer number to what the edit file says of its instances, back to front; "others" where it is not named.
const entriesOf = (values, layer) => {
  const entry = values.layers?.[layer] ?? values.layers?.others ?? {};
  return Array.isArray(entry) ? entry : [entry];
};

// The instances of an edit, copies of trails included; those of one layer back to front.
function instancesOf(values, clip) {
  const instances = [];
  for (const layer of clip.layers) {
    if (values.remove?.includes(layer) || (values.solo && !values.solo.includes(layer))) continue;
    for (const entry of entriesOf(values, layer)) {
      const itself = layerInstance(entry, layer, clip, values.interpolation ?? "nearest");
      const {copies, spacing, fade} = {...TRAIL, ...entry.trail};
      for (let copy = entry.trail ? copies : 0; copy > 0; copy--) {
        const late = copy * spacing;
        instances.push({...itself, behind: copy, fade: fade ** copy,
                    sourceTime: (output) => (output < late ? null : itself.sourceTime(output - late))});
      }
      instances.push(itself);
    }
  }
  return instances;
}

// How many output frames it takes to show the clip's last frame by time steps; null: it is never shown.
const untilLast = (() => {
  const known = new Map();
  return (steps, clip) => {
    if (!steps?.length) return clip.length;
    const key = `${clip.length} ${JSON.stringify(steps)}`;
    if (!known.has(key)) {
      const warp = warpOfSteps(steps, clip.length);
      let output = 0;
      while (output < LIMITS.longest && !(warp(output) >= clip.length - 1 - 1e-6)) output++;
      known.set(key, output < LIMITS.longest ? output + 1 : null);
    }
    return known.get(key);
  };
})();

// As many frames as the edit says, or as it takes to show everybody's last one.
const fittingLengths = new WeakMap();
function lengthOf(values, clip) {
  if (values.length !== "fit") return values.length ?? clip.length;
  if (!fittingLengths.has(values)) {
    const {background} = values, replace = background?.replace;
    const moving = instancesOf(values, clip).filter(({behind}) => !behind).map(({entry}) => entry.time);
    if (!replace || !(replace === "transparent" || replace.startsWith("#"))) moving.push(background?.time);
    const lengths = moving.map((steps) => untilLast(steps, clip)).filter((length) => length !== null);
    fittingLengths.set(values, lengths.length ? Math.max(...lengths) : clip.length);
  }
  return fittingLengths.get(values);
}

const nearest = (time) => Math.floor(time + 0.5);
const orderAsFilmed = (clip, frame) => clip.order?.[frame] ?? clip.layers;

function orderOf(values, output) {
  if (!values.order) return null;
  if (!Array.isArray(values.order[0])) return values.order;
  return values.order.filter(([at], i) => i === 0 || at - 1 <= output).at(-1)[1];
}

// What RGB is multiplied with, row by row.
function colourMatrix(entry, output) {
  const saturation = numberAt(entry, "saturation", output), gain = numberAt(entry, "gain", output);
  const tint = colourOf(entry.tint ?? "#ffffff");
  return IDENTITY.map((one, i) =>
    gain * tint[Math.floor(i / 3)] * (one * saturation + (1 - saturation) * LUMA[i % 3]));
}

const colourOf = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16) / 255);

// What is drawn in an output frame: the background's time and camera, and the layers back to front, as
// Compositor.draws gives them.
function drawsOf(values, clip, output) {
  const background = layerInstance(values.background ?? {}, BACKGROUND, clip, values.interpolation ?? "nearest");
  const camera = nearest(background.sourceTime(output));
  const [given, filmed] = [orderOf(values, output), orderAsFilmed(clip, camera)];
  const draws = [], depth = {};
  instancesOf(values, clip).map((instance, index) => [instance, index]).reverse().forEach(([instance, index]) => {
    const time = instance.sourceTime(output), {entry, layer} = instance;
    if (time === null) return;
    if (instance.behind === 0 || !(layer in depth)) {
      const order = given ?? orderAsFilmed(clip, nearest(time));
      depth[layer] = [order.indexOf(layer), filmed.indexOf(layer), index];
    }
    const fade = instance.fade ?? 1;
    draws.push({
      depth: [...depth[layer], -instance.behind], layer,
      time: instance.interpolation === "nearest" ? nearest(time) : time, interpolation: instance.interpolation,
      opacity: fade * numberAt(entry, "opacity", output),
      effects: numberAt(entry, "effects", output), colour: colourMatrix(entry, output),
      placement: placement(entry, clip, output),
    });
  });
  draws.sort((a, b) => a.depth.reduce((found, value, i) => found || value - b.depth[i], 0));
  const time = background.sourceTime(output);
  return {
    camera, draws: draws.filter((draw) => draw.opacity > 0),
    background: {time: background.interpolation === "nearest" ? camera : time,
                 colour: colourMatrix(background.entry, output), replace: background.entry.replace},
  };
}

// ---- matrices, as rows of 9 numbers --------------------------------------------------------------------------

const product = (a, b) => IDENTITY.map((_, i) =>
  [0, 1, 2].reduce((sum, k) => sum + a[3 * Math.floor(i / 3) + k] * b[3 * k + i % 3], 0));

function inverse([a, b, c, d, e, f, g, h, i]) {
  const cofactors = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f,
                     d * h - e * g, b * g - a * h, a * e - b * d];
  const determinant = a * cofactors[0] + b * cofactors[3] + c * cofactors[6];
  return cofactors.map((value) => value / determinant);
}

// From pixels of a picture to where they are shown; null: the same place.
function placement(entry, clip, output) {
  const [x, y, scale] = ["x", "y", "scale"].map((key) => numberAt(entry, key, output));
  if (!x && !y && scale === 1 && !entry.flip) return null;
  const [width, height] = clip.size, anchor = entry.anchor ?? [LIMITS.anchor.default, LIMITS.anchor.default];
  const fixed = [anchor[0] * width - 0.5, anchor[1] * height - 0.5];
  const fx = ["horizontal", "both"].includes(entry.flip) ? -scale : scale;
  const fy = ["vertical", "both"].includes(entry.flip) ? -scale : scale;
  return [fx, 0, fixed[0] + x * width - fx * fixed[0], 0, fy, fixed[1] + y * height - fy * fixed[1], 0, 0, 1];
}

// The matrix of four numbers, as of motion_path in page.py; null where there are none.
function similarity(numbers) {
  if (!numbers) return null;
  const [a, b, x, y] = numbers;
  return [a, -b, x, b, a, y, 0, 0, 1];
}

// How the camera moves from a source frame to another; null: not.
function cameraMotion(clip, source, camera) {
  if (!clip.cameras || source === camera) return null;
  return product(inverse(clip.cameras[camera]), clip.cameras[source]);
}
