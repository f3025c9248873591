// The edit that is being made: the values of an edit file themselves, undo, and the commands that change them. A row is
// {layer, index}: one instance of a layer, or of the background. Output frames count from 0 here.
"use strict";

const isKeyed = Array.isArray;
const sameRow = (a, b) => a.layer === b.layer && a.index === b.index;
const samePin = (a, b) => a[0] === b[0] && a[1] === b[1];
const rowName = (row) => `${row.layer}.${row.index}`;
const markName = ({layer, index}) => (index ? `${layer}.${index + 1}` : `${layer}`);  // in the edit file

class Model {
  // `onChange()` is called after every change.
  constructor(clip, values, onChange) {
    Object.assign(this, {clip, values, past: [], future: [], onChange, merging: null});
    this.saved = JSON.stringify(values);
  }

  get changed() { return JSON.stringify(this.values) !== this.saved; }
  get length() { return lengthOf(this.values, this.clip); }

  // Change a copy of the edit by `action(values)`. Changes in a row with the same `merge` are undone at once.
  change(action, merge = null) {
    const values = structuredClone(this.values);
    action(values);
    tidy(values);
    if (JSON.stringify(values) === JSON.stringify(this.values)) return;
    if (!merge || merge !== this.merging) this.past.push(this.values);
    Object.assign(this, {values, merging: merge, future: []});
    this.onChange();
  }

  // Take another edit's values.
  replace(values) {
    this.change((old) => {
      Object.keys(old).forEach((key) => delete old[key]);
      Object.assign(old, values);
    });
  }

  // What follows is undone on its own.
  endMerge() { this.merging = null; }

  // Take back what was changed with a `merge`, as if it had never been.
  cancelMerge(merge) {
    if (this.merging !== merge) return;
    Object.assign(this, {values: this.past.pop(), merging: null});
    this.onChange();
  }

  undo() { this.travel(this.past, this.future); }
  redo() { this.travel(this.future, this.past); }

  travel(from, to) {
    if (!from.length) return;
    to.push(this.values);
    Object.assign(this, {values: from.pop(), merging: null});
    this.onChange();
  }

  // Rows from back to front, as they are in the first frame, the background first; layers that are not shown have
  // theirs, too.
  rows() {
    const order = orderOf(this.values, 0) ?? orderAsFilmed(this.clip, 0), {layers} = this.clip;
    const ordered = [...layers.filter((layer) => !order.includes(layer)),
                     ...order.filter((layer) => layers.includes(layer))];
    const rows = ordered.flatMap((layer) => entriesOf(this.values, layer).map((_, index) => ({layer, index})));
    return [{layer: BACKGROUND, index: 0}, ...rows];
  }

  entry({layer, index}) {
    return (layer === BACKGROUND ? this.values.background : entriesOf(this.values, layer)[index]) ?? {};
  }

  instance(row) {
    return layerInstance(this.entry(row), row.layer, this.clip, this.values.interpolation ?? "nearest");
  }

  isHidden({layer}) {
    const {remove, solo} = this.values;
    return layer !== BACKGROUND && (remove?.includes(layer) || (solo && !solo.includes(layer))) === true;
  }

  changeEntry(row, action, merge = null) {
    this.change((values) => action(editable(values, row), values), merge);
  }

  // A value of a row; what is the default is left out of the file.
  set(row, key, value, fallback, merge = null) {
    this.changeEntry(row, (entry) => {
      if (value === fallback) delete entry[key];
      else entry[key] = value;
    }, merge);
  }

  // A number that may change: at this frame where it has keys, else everywhere.
  setNumber(row, key, value, frame, merge = null) {
    const found = this.entry(row)[key];
    if (!isKeyed(found)) return this.set(row, key, value, defaultOf(key), merge);
    this.set(row, key, withKey(found, frame + 1, value), undefined, merge);
  }

  // Give a number a key at this frame, or take that one away; the last one leaves its value everywhere.
  toggleKey(row, key, frame) {
    const found = this.entry(row)[key] ?? defaultOf(key), value = curveAt(found, frame);
    if (!isKeyed(found)) return this.set(row, key, [[frame + 1, found]]);
    if (!found.some(([at]) => at === frame + 1)) return this.set(row, key, withKey(found, frame + 1, value));
    const rest = found.filter(([at]) => at !== frame + 1);
    this.set(row, key, rest.length ? rest : value, defaultOf(key));
  }

  addStep(row, step) { this.changeEntry(row, (entry) => { entry.time = [...entry.time ?? [], step]; }); }

  freeze(row, frame, until) { this.addStep(row, {freeze: [frame + 1, until + 1]}); }

  toggleRemoved({layer}) {
    if (layer !== BACKGROUND) this.change((values) => { values.remove = toggled(values.remove ?? [], layer); });
  }

  toggleSolo({layer}) {
    if (layer !== BACKGROUND) this.change((values) => { values.solo = toggled(values.solo ?? [], layer); });
  }

  // Once more, `late` frames later, behind itself.
  duplicate(row, late) {
    if (row.layer === BACKGROUND) return;
    this.change((values) => {
      const entry = editable(values, row), {layer, index} = row;
      const copied = structuredClone(entry);
      copied.time = [...copied.time ?? [], {offset: late}];
      const all = Array.isArray(values.layers[layer]) ? values.layers[layer] : [entry];
      values.layers[layer] = all.toSpliced(index, 0, copied);
      moveMarks(values, layer, index, 1);
    });
  }

  // Take one of several instances away.
  deleteInstance({layer, index}) {
    this.change((values) => {
      values.layers[layer].splice(index, 1);
      delete values.marks?.[markName({layer, index})];
      moveMarks(values, layer, index, -1);
    });
  }

  // ---- pins: the first time step, so that they name frames of the clip, whatever the steps after it do --------------

  pins(row) { return this.entry(row).time?.[0]?.align ?? []; }

  // Output frame to the place of a pin: what the steps after the pins make of it.
  beforePins(row) {
    const steps = this.entry(row).time ?? [];
    return warpOfSteps(steps[0]?.align ? steps.slice(1) : steps, this.clip.length);
  }

  // The output frame where a pin is seen, or null.
  pinOutput(row, pin) {
    const warp = this.beforePins(row);
    let best = null, nearest = 0.75;
    for (let output = 0; output < this.length; output++) {
      const distance = Math.abs(warp(output) - (pin[0] - 1));
      if (distance < nearest) [best, nearest] = [output, distance];
    }
    return best;
  }

  // Show a source time at an output frame; the pin.
  setPin(row, output, source) {
    const pin = this.pinAt(row, output, source);
    this.putPins(row, [pin], this.pins(row));
    return pin;
  }

  // Move pins by output and by source frames, beside the pins `others`; where they are then.
  movePins(row, pins, outputs, sources, others, merge = null) {
    const last = this.length - 1;
    const moved = pins.map((pin) => {
      const output = this.pinOutput(row, pin);
      return output === null ? pin
        : this.pinAt(row, Math.min(Math.max(output + outputs, 0), last), pin[1] - 1 + sources);
    });
    this.putPins(row, moved, others, merge);
    return moved;
  }

  putPins(row, pins, others, merge = null) {
    const taken = new Set(pins.map(([at]) => at));
    this.changeEntry(row, (entry) => setPins(entry, [...others.filter(([at]) => !taken.has(at)), ...pins]), merge);
  }

  pinAt(row, output, source) {
    const limited = Math.min(Math.max(Math.round(source), 0), this.clip.length - 1);
    return [Math.round(100 * this.beforePins(row)(output)) / 100 + 1, limited + 1];
  }

  deletePins(row, pins) {
    this.changeEntry(row, (entry) => {
      setPins(entry, this.pins(row).filter((pin) => !pins.some((other) => samePin(pin, other))));
    });
  }

  // Show what lies between a pin and the next one (without a next one, the rest of the clip) at a speed, 1 as filmed;
  // later pins move with it.
  setSpeedAfter(row, pin, speed) {
    const pins = this.pins(row), end = this.clip.length;
    const later = pins.filter(([at]) => at > pin[0]), next = later[0] ?? [pin[0] + end - pin[1], end];
    const by = (next[1] - pin[1]) / speed - (next[0] - pin[0]);
    const moved = (later.length ? later : [next]).map(([at, source]) => [Math.round(100 * (at + by)) / 100, source]);
    if (next[1] !== pin[1] && moved[0][0] > pin[0]) this.putPins(row, moved, pins.filter(([at]) => at <= pin[0]));
  }

  // As many frames as it takes to show everybody's last one.
  fitLength() {
    const until = (row) => {
      const {sourceTime} = this.instance(row);
      for (let output = 0; output < LIMITS.longest; output++) {
        const source = sourceTime(output);
        if (source !== null && source >= this.clip.length - 1) return output + 1;
      }
      return this.clip.length;
    };
    const length = Math.max(this.clip.length, ...this.rows().map(until));
    this.change((values) => {
      values.length = length;
      if (length === this.clip.length) delete values.length;
    });
  }

  // ---- events: a source frame of a row that is to be aligned --------------------------------------------------------

  toggleEvent(row, output) {
    const source = this.instance(row).sourceTime(output);
    if (source === null || row.layer === BACKGROUND) return;
    this.change((values) => {
      const marks = values.marks ??= {}, frame = nearest(source) + 1;
      if (marks[markName(row)] === frame) delete marks[markName(row)];
      else marks[markName(row)] = frame;
    });
  }

  // The source frame of the event of a row, or null.
  event(row) {
    const frame = this.values.marks?.[markName(row)];
    return frame === undefined ? null : frame - 1;
  }

  get marked() { return this.rows().filter((row) => this.event(row) !== null); }

  // The first output frame that shows the event of a row, or null.
  eventOutput(row) {
    const event = this.event(row), {sourceTime} = this.instance(row);
    if (event === null) return null;
    for (let output = 0; output < this.length; output++) {
      const time = sourceTime(output);
      if (time !== null && nearest(time) === event) return output;
    }
    return null;
  }

  // Show the events of all rows together.
  align(output) {
    const pinned = this.marked.map((row) => [row, this.pinAt(row, output, this.event(row))]);
    this.change((values) => {
      for (const [row, pin] of pinned) {
        const kept = this.pins(row).filter(([at, source]) => at !== pin[0] && source !== pin[1]);
        setPins(editable(values, row), [...kept, pin]);
      }
    });
    return pinned.length;
  }

  // ---- depth --------------------------------------------------------------------------------------------------------

  // Layers from back to front in an output frame.
  order(output) {
    const shown = drawsOf(this.values, this.clip, output).draws.map(({layer}) => layer);
    const all = orderOf(this.values, output) ?? [...new Set(shown), ...this.clip.layers];
    return [...new Set(all)];
  }

  // Bring a layer one place to the front (1) or back (-1): from this frame on where the order has keys, else in all.
  moveInOrder({layer}, direction, output) {
    const order = this.order(output), from = order.indexOf(layer), to = from + direction;
    if (from < 0 || to < 0 || to >= order.length) return;
    [order[from], order[to]] = [order[to], order[from]];
    this.change((values) => {
      values.order = isKeyed(values.order?.[0]) ? withKey(values.order, output + 1, order) : order;
    });
  }
}

// The values of a row, made where the file does not have them yet.
function editable(values, {layer, index}) {
  if (layer === BACKGROUND) return values.background ??= {};
  values.layers ??= {};
  values.layers[layer] ??= structuredClone(values.layers.others ?? {});
  return Array.isArray(values.layers[layer]) ? values.layers[layer][index] : values.layers[layer];
}

function setPins(entry, pins) {
  const steps = entry.time ?? [], rest = steps[0]?.align ? steps.slice(1) : steps;
  const sorted = [...pins].sort((a, b) => a[0] - b[0]);
  entry.time = sorted.length ? [{align: sorted}, ...rest] : rest;
}

const withKey = (keys, at, value) =>
  [...keys.filter(([frame]) => frame !== at), [at, value]].sort((a, b) => a[0] - b[0]);
const toggled = (list, item) => (list.includes(item) ? list.filter((other) => other !== item) : [...list, item]);

// Keep marks with their rows when an instance of a layer was put in or taken out at `index`.
function moveMarks(values, layer, index, by) {
  values.marks = Object.fromEntries(Object.entries(values.marks ?? {}).map(([name, frame]) => {
    const [at, number] = name.split("."), found = Number(number ?? 1) - 1;
    return [at === String(layer) && found >= index ? markName({layer, index: found + by}) : name, frame];
  }));
}

// Leave out what says nothing.
function tidy(values) {
  const isEmpty = (value) => value && typeof value === "object" && Object.keys(value).length === 0;
  const withoutEmptyTime = (entry) => { if (isEmpty(entry.time)) delete entry.time; };
  for (const [layer, entry] of Object.entries(values.layers ?? {})) {
    [entry].flat().forEach(withoutEmptyTime);
    if (Array.isArray(entry) && entry.length === 1) values.layers[layer] = entry[0];
    if (isEmpty(values.layers[layer]) && (layer === "others" || !values.layers.others)) delete values.layers[layer];
  }
  if (values.background) withoutEmptyTime(values.background);
  for (const key of ["layers", "remove", "solo", "background", "marks"]) if (isEmpty(values[key])) delete values[key];
}
