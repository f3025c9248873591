// The edit that is being made: the values of an edit file themselves, undo, and the commands that change them. A row is
// {layer, index}: one instance of a layer, of the background, or what the file says of all "others". Where a command takes
// rows, it takes one or a list of them. Output frames count from 0 here.
//
// A track is what changes over time in a row: TIME, by pins, or a number, by keys. Both are points, [frame, value,
// handles], as in the edit file.
"use strict";

const isKeyed = Array.isArray;
const OTHERS = "others";
const TIME = "time";
const isPerson = ({layer}) => typeof layer === "number";
const sameRow = (a, b) => a.layer === b.layer && a.index === b.index;
const samePin = (a, b) => a[0] === b[0] && a[1] === b[1];
const rowName = (row) => `${row.layer}.${row.index}`;
const markName = ({layer, index}) => (index ? `${layer}.${index + 1}` : `${layer}`);  // in the edit file

class Model {
  // `onChange()` is called after every change.
  constructor(clip, values, onChange) {
    Object.assign(this, {clip, values, past: [], future: [], onChange, merging: null, showsOthers: false});
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
    const others = this.showsOthers || this.values.layers?.others
      ? entriesOf(this.values, OTHERS).map((_, index) => ({layer: OTHERS, index})) : [];
    return [{layer: BACKGROUND, index: 0}, ...others, ...rows];
  }

  entry({layer, index}) {
    return (layer === BACKGROUND ? this.values.background : entriesOf(this.values, layer)[index]) ?? {};
  }

  instance(row) {
    return layerInstance(this.entry(row), row.layer, this.clip, this.values.interpolation ?? "nearest");
  }

  isHidden(row) {
    const {remove, solo} = this.values;
    return isPerson(row) && (remove?.includes(row.layer) || (solo && !solo.includes(row.layer))) === true;
  }

  // Change what the file says of rows, by `action(entry, values)`.
  changeEntry(rows, action, merge = null) {
    // Others come last: who is not named is shown as they were until then.
    const ordered = [rows].flat().sort((a, b) => (a.layer === OTHERS) - (b.layer === OTHERS));
    this.change((values) => ordered.forEach((row) => action(editable(values, row), values)), merge);
  }

  // A value of rows; what is the default is left out of the file.
  set(rows, key, value, fallback, merge = null) {
    this.changeEntry(rows, (entry) => put(entry, key, value, fallback), merge);
  }

  // A number that may change: at this frame where it has keys, else everywhere.
  setNumber(rows, key, value, frame, merge = null) {
    this.changeEntry(rows, (entry) => put(
      entry, key, isKeyed(entry[key]) ? withKey(entry[key], frame + 1, value) : value, defaultOf(key)), merge);
  }

  // Give a number a key at this frame, or take that one away, as it is in the first of the rows; the last one leaves its
  // value everywhere.
  toggleKey(rows, key, frame) {
    const isThere = (found) => isKeyed(found) && found.some(([at]) => at === frame + 1);
    const goes = isThere(this.entry([rows].flat()[0])[key]);
    this.changeEntry(rows, (entry) => {
      const found = entry[key] ?? defaultOf(key);
      if (goes) setPoints(entry, key, isKeyed(found) ? found.filter(([at]) => at !== frame + 1) : []);
      else if (!isThere(found)) {
        entry[key] = withKey(isKeyed(found) ? found : [], frame + 1, numberAt(entry, key, frame));
      }
    });
  }

  addStep(rows, step) { this.changeEntry(rows, (entry) => { entry.time = [...entry.time ?? [], step]; }); }

  freeze(rows, frame, until) { this.addStep(rows, {freeze: [frame + 1, until + 1]}); }

  // Add a time step that makes a stretch longer or shorter, and lengthen the video by it: keys, markers and orders that
  // come after it move along.
  ripple(rows, step) {
    const isAll = this.rows().every((row) => [rows].flat().some((other) => sameRow(row, other)));
    const moved = movedBy(step), move = (keys) => keys.flatMap(([at, ...rest]) => {
      const to = moved(at - 1);
      return to === null ? [] : [[Math.round(100 * to) / 100 + 1, ...rest]];
    });
    this.change((values) => {
      for (const row of [rows].flat()) {
        const entry = editable(values, row);
        entry.time = [...entry.time ?? [], structuredClone(step)];
        for (const key of Object.keys(LIMITS.curves)) {
          if (isKeyed(entry[key])) setPoints(entry, key, move(entry[key]), numberAt(entry, key, 0));
        }
      }
      values.length = "fit";
      if (isAll && values.markers) values.markers = move(values.markers);
      if (isAll && isKeyed(values.order?.[0])) values.order = move(values.order);
    });
  }

  // All instances of all people, and what is said of others; with the background where `isAll`.
  everybody(isAll = false) { return this.rows().filter(({layer}) => isAll || layer !== BACKGROUND); }

  toggleRemoved(rows) { this.toggleLayers("remove", rows); }

  toggleSolo(rows) { this.toggleLayers("solo", rows); }

  // Take the layers of rows into a list, or out of it where all are in it.
  toggleLayers(key, rows) {
    const layers = [...new Set([rows].flat().filter(isPerson).map(({layer}) => layer))];
    this.change((values) => {
      const listed = values[key] ?? [], rest = listed.filter((layer) => !layers.includes(layer));
      values[key] = layers.every((layer) => listed.includes(layer)) ? rest
        : [...listed, ...layers.filter((layer) => !listed.includes(layer))];
    });
  }

  rename({layer}, name) {
    this.change((values) => {
      values.names = {...values.names, [layer]: name};
      if (!name || name === this.clip.names?.[layer]) delete values.names[layer];
    });
  }

  // What a row is called.
  title({layer, index}) {
    if (layer === BACKGROUND) return "Background";
    if (layer === OTHERS) return "Everybody else";
    const people = this.clip.people?.[layer - 1] ?? [layer];
    const name = this.values.names?.[layer] ?? this.clip.names?.[layer]
      ?? `${people.length > 1 ? "People" : "Person"} ${people.join(", ")}`;
    const count = entriesOf(this.values, layer).length, copy = count - 1 - index;
    return `${name}${copy ? `\ncopy ${copy}` : ""}`;
  }

  // Once more, `late` frames later, behind itself.
  duplicate(row, late) {
    if (!isPerson(row)) return;
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

  // ---- points of a track: pins, in the first time step, so that they name frames of the clip, whatever the steps after it
  // do with them; and keys of numbers --------------------------------------------------------------------------------

  points(row, track) {
    const entry = this.entry(row), found = track === TIME ? entry.time?.[0]?.align : entry[track];
    return isKeyed(found) ? found : [];
  }

  pins(row) { return this.points(row, TIME); }

  // What a track shows at an output time; null: nothing is shown.
  valueAt(row, track, output) {
    return track === TIME ? this.instance(row).sourceTime(output) : numberAt(this.entry(row), track, output);
  }

  // A track's value as the edit file has it, to what `valueAt` gives.
  shownValue(track, value) { return track === TIME ? value - 1 : value; }

  // The time steps after the pins.
  laterSteps(row) {
    const steps = this.entry(row).time ?? [];
    return steps[0]?.align ? steps.slice(1) : steps;
  }

  // Output frame to the place of a pin: what the steps after the pins make of it.
  beforePins(row) { return warpOfSteps(this.laterSteps(row), this.clip.length); }

  // The output frame where a point is seen, or null.
  pointOutput(row, track, point) {
    if (track !== TIME) return point[0] - 1 < this.length ? point[0] - 1 : null;
    const {length} = this, place = point[0] - 1;
    if (!this.laterSteps(row).length) {
      const at = Math.min(Math.max(Math.ceil(place - 0.5), 0), length - 1);
      return Math.abs(at - place) < 0.75 ? at : null;
    }
    const warp = this.beforePins(row);
    let best = null, nearest = 0.75;
    for (let output = 0; output < length; output++) {
      const distance = Math.abs(warp(output) - place);
      if (distance < nearest) [best, nearest] = [output, distance];
    }
    return best;
  }

  pinOutput(row, pin) { return this.pointOutput(row, TIME, pin); }

  // The point that shows a value at an output frame.
  pointAt(row, track, output, value) {
    if (track === TIME) {
      const limited = Math.min(Math.max(Math.round(value), 0), this.clip.length - 1);
      return [Math.round(100 * this.beforePins(row)(output)) / 100 + 1, limited + 1];
    }
    const {low, high} = LIMITS.curves[track];
    return [output + 1, Math.min(Math.max(Math.round(1000 * value) / 1000, low), high)];
  }

  pinAt(row, output, source) { return this.pointAt(row, TIME, output, source); }

  // Let a track show a value at an output frame; the point.
  setPoint(row, track, output, value) {
    const point = this.pointAt(row, track, output, value);
    this.putPoints(row, track, [point], this.points(row, track));
    return point;
  }

  setPin(row, output, source) { return this.setPoint(row, TIME, output, source); }

  // Move points by output frames and in value, beside the points `others`; where they are then.
  movePoints(row, track, points, outputs, by, others, merge = null) {
    const last = this.length - 1;
    const moved = points.map((point) => {
      const output = this.pointOutput(row, track, point);
      return output === null ? point
        : [...this.pointAt(row, track, Math.min(Math.max(output + outputs, 0), last),
                           this.shownValue(track, point[1]) + by), ...point.slice(2)];
    });
    this.putPoints(row, track, moved, others, merge);
    return moved;
  }

  putPoints(row, track, points, others, merge = null) {
    const taken = new Set(points.map(([at]) => at));
    this.changeEntry(row, (entry) =>
      setPoints(entry, track, [...others.filter(([at]) => !taken.has(at)), ...points]), merge);
  }

  deletePoints(row, track, points) {
    this.changeEntry(row, (entry) => {
      const rest = this.points(row, track).filter((point) => !points.some((other) => samePin(point, other)));
      setPoints(entry, track, rest, points.at(-1)?.[1]);
    });
  }

  // How the curve comes to points and leaves them: undefined, "ease", "linear", or handles.
  setHandles(row, track, points, handles, merge = null) {
    this.changeEntry(row, (entry) => setPoints(entry, track, this.points(row, track).map((point) =>
      (points.some((other) => samePin(point, other)) ? [...point.slice(0, 2), ...handles ? [handles] : []] : point))),
                     merge);
  }

  // The handles of a point as they are, given or not: {in: [frames, value], out: ...}, without the side where no other
  // point is.
  handlesOf(row, track, point) {
    const points = [...this.points(row, track)].sort((a, b) => a[0] - b[0]), i = points.findIndex((one) =>
      samePin(one, point)), slopes = track === TIME && points.length ? slopesOf(points) : null, found = {};
    for (const [name, side] of [["in", -1], ["out", 1]]) {
      const other = points[i + side];
      if (i < 0 || !other) continue;
      const length = side * (other[0] - point[0]), rise = side * (other[1] - point[1]);
      const [x, y] = controlPoint(points[i][2], side, length, rise, slopes ? slopes[i] : rise / length);
      found[name] = [side * x, side * y];
    }
    return found;
  }

  // Put one handle of a point somewhere; the other one stays where it is.
  setHandle(row, track, point, side, [frames, value], merge = null) {
    const rounded = [side === "in" ? Math.min(frames, 0) : Math.max(frames, 0), value]
      .map((number) => Math.round(1000 * number) / 1000);
    const handles = {...this.handlesOf(row, track, point), [side]: rounded};
    this.setHandles(row, track, [point], handles, merge);
  }

  // Show what lies between a pin and the next one (without a next one, the rest of the clip) at a speed, 1 as filmed;
  // later pins move with it.
  setSpeedAfter(row, pin, speed) {
    const pins = this.pins(row), end = this.clip.length;
    const later = pins.filter(([at]) => at > pin[0]), next = later[0] ?? [pin[0] + end - pin[1], end];
    const by = (next[1] - pin[1]) / speed - (next[0] - pin[0]);
    const moved = (later.length ? later : [next]).map(([at, ...rest]) => [Math.round(100 * (at + by)) / 100, ...rest]);
    if (next[1] !== pin[1] && moved[0][0] > pin[0])
      this.putPoints(row, TIME, moved, pins.filter(([at]) => at <= pin[0]));
  }

  // How fast it goes on average from a pin to the next one, or to the clip's end.
  speedAfter(row, pin) {
    const next = this.pins(row).find(([at]) => at > pin[0]);
    return next ? (next[1] - pin[1]) / (next[0] - pin[0]) : 1;
  }

  // As many frames as it takes to show everybody's last one, whatever is changed from now on.
  fitLength() { this.change((values) => { values.length = "fit"; }); }

  setLength(length) {
    this.change((values) => {
      values.length = length;
      if (length === this.clip.length) delete values.length;
      if (values.range?.[1] > length) delete values.range;
    });
  }

  // People who go slower than they were filmed and whose end comes after that of the video, and how long it must be to
  // show it; null: there are none. As retiming/edit.py warns of them.
  get cutOff() {
    if (this.values.range) return null;
    const {length, clip} = this;
    const late = instancesOf(this.values, clip).filter(({behind, warp}) => {
      const [begins, ends] = [warp(0), warp(length - 1)];
      return !behind && ends < clip.length - 1.5 && ends - begins < length - 1.5;
    }).map(({layer, entry}) => [layer, untilLast(entry.time, clip)]).filter(([, until]) => until > length);
    return late.length ? {layers: [...new Set(late.map(([layer]) => layer))],
                          length: Math.max(...late.map(([, until]) => until))} : null;
  }

  // ---- markers: named frames of the video ---------------------------------------------------------------------------

  get markers() { return this.values.markers ?? []; }

  setMarkers(markers, merge = null) {
    this.change((values) => { values.markers = [...markers].sort((a, b) => a[0] - b[0]); }, merge);
  }

  // A marker at an output frame, or the one that is there taken away.
  toggleMarker(output) {
    const rest = this.markers.filter(([at]) => at !== output + 1);
    if (rest.length < this.markers.length) return this.setMarkers(rest);
    const taken = new Set(this.markers.map(([, name]) => name));
    let number = 1;
    while (taken.has(`Marker ${number}`)) number++;
    this.setMarkers([...rest, [output + 1, `Marker ${number}`]]);
  }

  // Move a marker to a frame that has none; as it is then.
  moveMarker(marker, frame, merge = null) {
    const at = Math.min(Math.max(frame, 1), this.length), moved = [at, marker[1]];
    if (this.markers.some(([other]) => other === at)) return marker;
    this.setMarkers(this.markers.map((one) => (one[0] === marker[0] ? moved : one)), merge);
    return moved;
  }

  // ---- events: a source frame of a row that is to be aligned --------------------------------------------------------

  toggleEvent(row, output) {
    const source = this.instance(row).sourceTime(output);
    if (source === null || !isPerson(row)) return;
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
        setPoints(editable(values, row), TIME, [...kept, pin]);
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

  // Bring a layer one place to the front (1) or back (-1): from this frame on where the order has keys, else in all. Tells
  // whether there was a place to go to.
  moveInOrder({layer}, direction, output) {
    const order = this.order(output), from = order.indexOf(layer), to = from + direction;
    if (from < 0 || to < 0 || to >= order.length) return false;
    [order[from], order[to]] = [order[to], order[from]];
    this.change((values) => {
      values.order = isKeyed(values.order?.[0]) ? withKey(values.order, output + 1, order) : order;
    });
    return true;
  }
}

// The values of a row, made where the file does not have them yet.
function editable(values, {layer, index}) {
  if (layer === BACKGROUND) return values.background ??= {};
  values.layers ??= {};
  values.layers[layer] ??= structuredClone(values.layers.others ?? {});
  return Array.isArray(values.layers[layer]) ? values.layers[layer][index] : values.layers[layer];
}

function put(entry, key, value, fallback) {
  if (value === fallback) delete entry[key];
  else entry[key] = value;
}

// Points of a track; a number that has none stays at the value that is `left`, or what its keys show first.
function setPoints(entry, track, points, left = null) {
  const sorted = [...points].sort((a, b) => a[0] - b[0]);
  if (track !== TIME) {
    return put(entry, track, sorted.length ? sorted : left ?? numberAt(entry, track, 0), defaultOf(track));
  }
  const steps = entry.time ?? [], rest = steps[0]?.align ? steps.slice(1) : steps;
  entry.time = sorted.length ? [{align: sorted}, ...rest] : rest;
}

// Where output times go when a step makes a stretch longer or shorter; null: nowhere, it is cut.
function movedBy(step) {
  if (step.cut) {
    const [first, last] = step.cut.map((at) => at - 1);
    return (output) => (output < first ? output : output > last ? output - (last - first + 1) : null);
  }
  if (step.freeze) {
    const [first, last] = step.freeze.map((at) => at - 1);
    return (output) => (output <= first ? output : output + last - first);
  }
  const [first, last] = step.frames.map((at) => at - 1), {speed} = step;
  return (output) => (output <= first ? output : output < last ? first + (output - first) / speed
    : output + (last - first) / speed - (last - first));
}

// Keys with another one, whose handles stay where it was there before.
const withKey = (keys, at, value) =>
  [...keys.filter(([frame]) => frame !== at), [at, value, ...keys.find(([frame]) => frame === at)?.slice(2) ?? []]]
    .sort((a, b) => a[0] - b[0]);

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
  for (const key of ["layers", "remove", "solo", "background", "marks", "names", "markers"])
    if (isEmpty(values[key])) delete values[key];
}
