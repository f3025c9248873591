// The edit that is being made: the values of an edit file themselves, event pins, undo, and the commands that change
// them. A row is {layer, index}: one instance of a layer, or of the background. Output frames count from 0 here.
"use strict";

const isKeyed = Array.isArray;
const sameRow = (a, b) => a.layer === b.layer && a.index === b.index;
const rowName = (row) => `${row.layer}.${row.index}`;

class Model {
  // `onChange()` is called after every change.
  constructor(clip, values, onChange) {
    Object.assign(this, {clip, values, events: {}, past: [], future: [], onChange, merging: null});
    this.saved = JSON.stringify(values);
  }

  get changed() { return JSON.stringify(this.values) !== this.saved; }
  get length() { return lengthOf(this.values, this.clip); }

  // Change a copy of the edit by `action(values, events)`. Changes in a row with the same `merge` are undone at once.
  change(action, merge = null) {
    const before = {values: this.values, events: this.events};
    const [values, events] = [structuredClone(this.values), structuredClone(this.events)];
    action(values, events);
    tidy(values);
    if (JSON.stringify([values, events]) === JSON.stringify([before.values, before.events])) return;
    if (!merge || merge !== this.merging) this.past.push(before);
    Object.assign(this, {values, events, merging: merge, future: []});
    this.onChange();
  }

  // What follows is undone on its own.
  endMerge() { this.merging = null; }

  undo() { this.travel(this.past, this.future); }
  redo() { this.travel(this.future, this.past); }

  travel(from, to) {
    if (!from.length) return;
    to.push({values: this.values, events: this.events});
    Object.assign(this, from.pop(), {merging: null});
    this.onChange();
  }

  // Rows from back to front, the background first; layers that are not shown have theirs, too.
  rows() {
    const rows = this.clip.layers.flatMap((layer) => entriesOf(this.values, layer).map((_, index) => ({layer, index})));
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
    this.change((values, events) => {
      const entry = editable(values, row), {layer, index} = row;
      const copied = structuredClone(entry);
      copied.time = [...copied.time ?? [], {offset: late}];
      const all = Array.isArray(values.layers[layer]) ? values.layers[layer] : [entry];
      values.layers[layer] = all.toSpliced(index, 0, copied);
      moveEvents(events, layer, index, 1);
    });
  }

  // Take one of several instances away.
  deleteInstance({layer, index}) {
    this.change((values, events) => {
      values.layers[layer].splice(index, 1);
      delete events[rowName({layer, index})];
      moveEvents(events, layer, index, -1);
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

  // Show a source time at an output frame, beside the pins `others`.
  setPin(row, output, source, others = this.pins(row), merge = null) {
    const pin = this.pinAt(row, output, source);
    this.changeEntry(row, (entry) => setPins(entry, [...others.filter(([at]) => at !== pin[0]), pin]), merge);
  }

  pinAt(row, output, source) {
    const limited = Math.min(Math.max(Math.round(source), 0), this.clip.length - 1);
    return [Math.round(100 * this.beforePins(row)(output)) / 100 + 1, limited + 1];
  }

  deletePin(row, pin) {
    this.changeEntry(row, (entry) => {
      setPins(entry, this.pins(row).filter(([at, source]) => at !== pin[0] || source !== pin[1]));
    });
  }

  // ---- events: a source frame of a row that is to be aligned --------------------------------------------------------

  toggleEvent(row, output) {
    const source = this.instance(row).sourceTime(output);
    if (source === null || row.layer === BACKGROUND) return;
    this.change((_, events) => {
      if (events[rowName(row)] === nearest(source)) delete events[rowName(row)];
      else events[rowName(row)] = nearest(source);
    });
  }

  // Show the events of all rows together.
  align(output) {
    const pinned = this.rows().filter((row) => rowName(row) in this.events)
      .map((row) => [row, this.pinAt(row, output, this.events[rowName(row)])]);
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

// Keep events with their rows when an instance of a layer was put in or taken out at `index`.
function moveEvents(events, layer, index, by) {
  const moved = Object.entries(events).map(([name, source]) => {
    const [at, number] = [name.slice(0, name.lastIndexOf(".")), Number(name.slice(name.lastIndexOf(".") + 1))];
    return [at === String(layer) && number >= index ? `${layer}.${number + by}` : name, source];
  });
  Object.keys(events).forEach((name) => delete events[name]);
  Object.assign(events, Object.fromEntries(moved));
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
  for (const key of ["layers", "remove", "solo", "background"]) if (isEmpty(values[key])) delete values[key];
}
