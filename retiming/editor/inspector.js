// The settings of the selected rows and of the whole edit, at the right. Of several rows it shows those of the first, and
// what is set is set in all.
"use strict";

const STEP_HELP = {
  offset: "Frames later", freeze: "Stands still at, until", hold: "Shows frame", speed: "Speed",
  cut: "Left out, from, to", reverse: "Backwards",
  loop: "Over and over, from, to", pingpong: "There and back, from, to", align: "Pins: frame, shown frame",
};
const FRAMES = "two frames, such as 10, 30, the second one after the first";
const STEP_FORMS = {  // what is expected where something else was written
  offset: "a number of frames, such as 12 or -12", freeze: FRAMES, hold: "a frame of the clip", cut: FRAMES,
  speed: "a speed, such as 50% or 2, or [[frame, speed], ...]", reverse: `true, or ${FRAMES}`,
  loop: `${FRAMES}; a third number says how often`, pingpong: `${FRAMES}; a third number says how often`,
  align: "pins [[frame, frame of the clip], ...], each frame later than the one before",
};
const UNITS = {frames: "Frames", seconds: "Seconds", timecode: "Timecode"};
const CURVES_AT = {"": "Smooth", ease: "Eased, flat", linear: "Straight", handles: "By handles"};
const NUMBERS = {  // key: [label, low, high of the slider, step, as a percentage]
  opacity: ["Opacity", 0, 1, 0.01], effects: ["Effects", 0, 2, 0.01], x: ["Shift right", -1, 1, 0.01],
  y: ["Shift down", -1, 1, 0.01], scale: ["Size", 0.1, 3, 0.01], saturation: ["Saturation", 0, 2, 0.01],
  gain: ["Gain", 0, 4, 0.01],
};

class Inspector {
  // `files`: where pictures and videos for the background are ({folder, add(file)}); null: none can be added.
  constructor(box, model, timeline, names, files) {
    Object.assign(this, {box, model, timeline, names, files, updates: [], shape: null});
  }

  get title() { return this.rows.length > 1 ? `${this.rows.length} rows` : this.model.title(this.row); }

  // The pin or key that is picked, where it is one.
  get point() {
    const {picks} = this.timeline;
    return picks.length === 1 ? picks[0] : null;
  }

  get pin() { return this.timeline.track === TIME ? this.point : null; }

  // Show rows; only what has changed in kind is built anew, so that a slider that is held stays.
  update(row, output, rows = [row]) {
    Object.assign(this, {row, output, rows});
    const entry = this.model.entry(row), {values} = this.model;
    const shape = JSON.stringify([rows.map(rowName), this.hasOneTime, (entry.time ?? []).map(stepName), Boolean(entry.trail),
      this.kindOf(values.background?.replace), this.names.length, entriesOf(values, row.layer).length,
      this.point && [this.timeline.track, this.handleSides], this.timeline.marker, (values.markers ?? []).length]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.updates = [];
      const scrolled = this.box.scrollTop;
      this.box.replaceChildren(...this.sections());
      this.box.scrollTop = scrolled;
    }
    this.updates.forEach((refresh) => refresh());
  }

  // Keys' values at another frame.
  seek(output) {
    this.output = output;
    this.updates.forEach((refresh) => refresh());
  }

  get entry() { return this.model.entry(this.row); }

  // Whether all rows have the same time steps, so that one list is of all.
  get hasOneTime() {
    return new Set(this.rows.map((row) => JSON.stringify(this.model.entry(row).time ?? []))).size === 1;
  }

  // How the picked point has handles: the sides that there are.
  get handleSides() {
    const found = this.point && this.model.handlesOf(this.row, this.timeline.track, this.point);
    return found && typeof this.point[2] === "object" ? Object.keys(found) : [];
  }

  sections() {
    const {row, title} = this;
    if (row.layer === BACKGROUND) {
      return [this.section(title, this.backgroundControls()), this.section("Time", this.timeControls()),
              this.section("Colour", this.colourControls()), this.section("Video", this.videoControls())];
    }
    const one = [...isPerson(row) && this.rows.length === 1 ? [this.name()] : [], this.number("opacity"),
                 this.number("effects")];
    if (isPerson(row) && entriesOf(this.model.values, row.layer).length > 1) {
      one.push(element("div", {className: "buttons"}, element("button", {
        textContent: "Delete this copy", onclick: () => this.model.deleteInstance(row)})));
    }
    return [this.section(title, one), this.section("Time", this.timeControls()),
            this.section("Trail", this.trailControls()),
            this.section("Place", [this.number("x"), this.number("y"), this.number("scale"),
              this.choice("Flip", "flip", [["", "No"], ["horizontal", "Left to right"], ["vertical", "Top to bottom"],
                                           ["both", "Both"]])]),
            this.section("Colour", this.colourControls()), this.section("Video", this.videoControls())];
  }

  section(title, controls) {
    return element("section", {}, element("h2", {textContent: title}), ...controls);
  }

  refreshed(refresh) { this.updates.push(refresh); }

  // ---- kinds of controls --------------------------------------------------------------------------------------------

  // A number that may change, by slider, number and diamond.
  number(key) {
    const [label, min, max, step] = NUMBERS[key], merge = () => `${rowName(this.row)} ${key}`;
    const {low, high} = LIMITS.curves[key];
    const slider = element("input", {type: "range", min, max, step});
    const shown = () => Math.round(1000 * numberAt(this.entry, key, this.output)) / 1000;
    const curve = element("button", {className: "of-curve", textContent: label});
    curve.addEventListener("click", () =>
      this.timeline.showTrack(this.timeline.track === key ? TIME : key));
    const diamond = element("button", {className: "diamond", textContent: "◆"});
    slider.dataset.key = key;
    slider.setAttribute("aria-label", label);
    const set = (value) => this.model.setNumber(this.rows, key, value, this.output, merge());
    const exact = numberField({read: shown, min: low, max: high, step, write: (value) => {
      set(value);
      this.model.endMerge();
    }});
    exact.setAttribute("aria-label", label);
    slider.addEventListener("input", () => set(Number(slider.value)));
    slider.addEventListener("change", () => this.model.endMerge());
    slider.addEventListener("dblclick", () => { set(defaultOf(key)); this.model.endMerge(); });
    diamond.addEventListener("click", () => this.model.toggleKey(this.rows, key, this.output));
    this.refreshed(() => {
      const found = this.entry[key] ?? defaultOf(key);
      slider.value = shown();
      exact.show();
      const isKey = isKeyed(found) && found.some(([at]) => at === this.output + 1);
      diamond.className = `diamond${isKeyed(found) ? " keyed" : ""}${isKey ? " here" : ""}`;
      diamond.title = !isKeyed(found) ? "Let it change over time"
        : isKey ? "Take this key away" : "Set a key in this frame";
      diamond.setAttribute("aria-label", `${label}: ${diamond.title}`);
      curve.setAttribute("aria-pressed", this.timeline.track === key);
      curve.title = this.timeline.track === key ? "Show the time again" : `Show the curve of ${label.toLowerCase()}`;
    });
    return element("div", {className: "number"}, curve, slider, exact, diamond);
  }

  // What the person is called.
  name() {
    const input = element("input", {type: "text", className: "name", maxLength: LIMITS.longest_name, spellcheck: false,
                                    placeholder: this.model.title({...this.row, index: 0})});
    input.addEventListener("change", () => this.model.rename(this.row, input.value.trim()));
    this.refreshed(() => {
      if (!isTypedInto(input)) input.value = this.model.values.names?.[this.row.layer]
        ?? this.model.clip.names?.[this.row.layer] ?? "";
    });
    return element("label", {className: "field"}, element("span", {textContent: "Name"}), input);
  }

  choice(label, key, choices, read = () => this.entry[key], write = null) {
    const options = choices.map(([value, textContent]) => element("option", {value, textContent}));
    const select = element("select", {}, ...options);
    select.addEventListener("change", () => (write ?? ((value) =>
      this.model.set(this.rows, key, value || undefined, undefined)))(select.value));
    this.refreshed(() => { select.value = read() ?? ""; });
    return element("label", {className: "field"}, element("span", {textContent: label}), select);
  }

  colour(label, read, write) {
    const input = element("input", {type: "color"});
    input.addEventListener("input", () => write(input.value));
    input.addEventListener("change", () => this.model.endMerge());
    this.refreshed(() => { input.value = read(); });
    return element("label", {className: "field"}, element("span", {textContent: label}), input);
  }

  // A whole or fractional number that stands somewhere in the edit; one of frames may be written as a time, too.
  plain(label, read, write, limits = {}) {
    const input = numberField({read, write, ...limits});
    this.refreshed(input.show);
    return element("label", {className: "field"}, element("span", {textContent: label}), input);
  }

  // How a time is written as a frame's number (`first` 1), or as so many frames (0).
  time(first) { return () => ({rate: this.model.clip.rate, first}); }

  // ---- sections -----------------------------------------------------------------------------------------------------

  timeControls() {
    const steps = this.entry.time ?? [];
    const list = this.hasOneTime ? steps.map((step, i) => this.step(i, stepName(step)))
      : [element("p", {className: "quiet", textContent: "These rows go different ways in time; a further step is for all."})];
    const add = element("select", {title: "Add a time step", ariaLabel: "Add a time step"},
                        ...["", ...Object.keys(STEP_HELP)].map((value) =>
      element("option", {value, textContent: value || "Add a step …"})));
    add.addEventListener("change", () => {
      const here = this.output + 1, end = Math.min(here + 11, this.model.clip.length);
      const [first, last] = end > here ? [here, end] : [Math.max(here - 11, 1), here];
      const source = nearest(this.model.instance(this.row).sourceTime(this.output) ?? 0) + 1;
      const value = {offset: 12, freeze: [here, here + 12], hold: source, speed: 0.5, cut: [first, last], reverse: true,
                     loop: [first, last], pingpong: [first, last], align: [[here, source]]}[add.value];
      if (value !== undefined) this.model.addStep(this.rows, {[add.value]: value});
      add.value = "";
    });
    const more = this.row.layer === BACKGROUND ? [] : [
      this.choice("Beyond the clip", "ends", [["", "Hold the end"], ["hide", "Show nothing"]])];
    return [...this.pin ? this.pinControls() : this.point ? this.keyControls() : [], ...list, element("div", {className: "buttons"}, add), ...more,
            this.choice("Between frames", "interpolation", [["", "As the video"],
                                                            ...Object.entries(LIMITS.interpolations)])];
  }

  // The pin that is picked: where it is, what it shows, how fast it goes on to the next one, and how the curve goes there.
  pinControls() {
    const {model, timeline} = this, row = () => this.row;
    const output = () => (this.pin ? model.pinOutput(row(), this.pin) ?? 0 : 0);
    return [
      this.plain("Pin at frame", () => output() + 1, (value) => timeline.nudge(value - 1 - output(), 0),
                 {min: 1, units: this.time(1)}),
      this.plain("shows frame", () => this.pin?.[1] ?? 1, (value) => timeline.nudge(0, value - this.pin[1]),
                 {min: 1, max: model.clip.length, units: this.time(1)}),
      this.plain("Speed after it", () => `${this.pin ? Math.round(100 * model.speedAfter(row(), this.pin)) : 100}%`,
                 (value) => model.setSpeedAfter(row(), this.pin, value), {min: 0.01, max: 100, step: 0.05}),
      ...this.curveControls(),
    ];
  }

  // The key of a number that is picked.
  keyControls() {
    const {model, timeline} = this, {track} = timeline, [label, , , step] = NUMBERS[track];
    const {low, high} = LIMITS.curves[track], put = (point) => {
      const others = model.points(this.row, track).filter((other) => !samePin(other, this.point));
      model.putPoints(this.row, track, [point], others);
      timeline.pick([point]);
    };
    return [
      this.plain("Key at frame", () => this.point?.[0] ?? 1, (value) => put([value, ...this.point.slice(1)]),
                 {min: 1, units: this.time(1)}),
      this.plain(label, () => this.point?.[1] ?? 0, (value) => put([this.point[0], value, ...this.point.slice(2)]),
                 {min: low, max: high, step}),
      ...this.curveControls(),
    ];
  }

  // How the curve comes to the picked point and leaves it.
  curveControls() {
    const {model, timeline} = this, {track} = timeline, how = () => this.point?.[2];
    const isNumber = track !== TIME, {linear, ...plain} = CURVES_AT;
    const names = isNumber ? {...plain, "": linear} : CURVES_AT;  // without handles a number goes straight
    const set = (kind) => model.setHandles(this.row, track, [this.point], kind === "handles"
      ? rounded(model.handlesOf(this.row, track, this.point)) : kind || undefined);
    const rounded = (handles) => Object.fromEntries(Object.entries(handles).map(([side, pair]) =>
      [side, pair.map((number) => Math.round(1000 * number) / 1000)]));
    const fields = this.handleSides.flatMap((side) => [0, 1].map((i) => this.plain(
      `Handle ${side === "in" ? "before" : "after"}, ${i ? (isNumber ? "value" : "of the clip") : "frames"}`,
      () => Math.round(1000 * (model.handlesOf(this.row, track, this.point)[side]?.[i] ?? 0)) / 1000,
      (value) => {
        const pair = [...model.handlesOf(this.row, track, this.point)[side]];
        pair[i] = value;
        model.setHandle(this.row, track, this.point, side, pair);
      }, {step: i && isNumber ? 0.05 : 0.5, min: i || side === "in" ? -LIMITS.longest : 0,
          max: i || side === "out" ? LIMITS.longest : 0})));
    return [this.choice("Curve there", null, Object.entries(names),
                        () => (how() && typeof how() === "object" ? "handles" : isNumber && how() === "linear" ? "" : how()),
                        set), ...fields];
  }

  // A time step as the edit file has it.
  step(i, name) {
    const input = element("input", {type: "text", spellcheck: false, title: STEP_HELP[name]});
    const mistake = element("p", {className: "mistake", hidden: true}), change = (action) =>
      this.model.changeEntry(this.rows, (entry) => action(entry.time[i]));
    const current = () => this.entry.time?.[i]?.[name];
    input.dataset.step = name;
    input.setAttribute("aria-label", `${name}: ${STEP_HELP[name]}`);
    input.addEventListener("change", () => {
      const value = stepValue(name, input.value.trim(), this.model.clip.length);
      input.classList.toggle("wrong", value === undefined);
      mistake.hidden = value !== undefined;
      mistake.textContent = `Expected ${STEP_FORMS[name]}.`;
      if (value !== undefined) change((step) => { step[name] = value; });
    });
    this.refreshed(() => {
      if (isTypedInto(input) || input.matches(".wrong:focus") || current() === undefined) return;
      const text = JSON.stringify(current()).replaceAll(",", ", ");
      input.value = name === "speed" && typeof current() === "number" ? `${Math.round(1e4 * current()) / 100}%`
        : /^\[[^[]*\]$/.test(text) ? text.slice(1, -1) : text;
      input.classList.remove("wrong");
      mistake.hidden = true;
    });
    const away = element("button", {textContent: "×", title: "Take this step away"});
    away.addEventListener("click", () => this.model.changeEntry(this.rows, (entry) => { entry.time.splice(i, 1); }));
    const controls = [element("span", {textContent: name}), input, away];
    if (this.entry.time[i].frames) {
      const frames = [0, 1].map((end) => this.plain(end ? "to frame" : "of frame", () => this.entry.time?.[i]?.frames?.[end],
        (value) => change((step) => {
          step.frames[end] = end ? Math.max(value, step.frames[0] + 1) : Math.min(value, step.frames[1] - 1);
        }), {min: 1, units: this.time(1)}));
      return element("div", {className: "of-frames"}, element("div", {className: "step"}, ...controls), mistake, ...frames);
    }
    return element("div", {className: "of-frames"}, element("div", {className: "step"}, ...controls), mistake);
  }

  trailControls() {
    const box = element("input", {type: "checkbox"}), entry = this.entry;
    box.dataset.key = "trail";
    box.addEventListener("change", () => this.model.set(this.rows, "trail",
      box.checked ? {...TRAIL} : undefined, undefined));
    this.refreshed(() => { box.checked = Boolean(this.entry.trail); });
    const controls = [element("label", {className: "field"}, element("span", {textContent: "Copies follow"}), box)];
    if (!entry.trail) return controls;
    const of = (label, key, step) => this.plain(label, () => this.entry.trail?.[key] ?? TRAIL[key],
      (value) => this.model.changeEntry(this.rows, (changed) => {
        changed.trail = {...TRAIL, ...changed.trail, [key]: value};
      }),
      {min: LIMITS.trail[key].low, max: LIMITS.trail[key].high, step});
    return [...controls, of("Copies", "copies", 1), of("Frames between", "spacing", 0.5), of("Fade", "fade", 0.05)];
  }

  colourControls() {
    return [this.number("saturation"), this.number("gain"), this.colour("Tint", () => this.entry.tint ?? "#ffffff",
      (value) => this.model.set(this.rows, "tint", value, "#ffffff", `${rowName(this.row)} tint`))];
  }

  // What stands in the background's place.
  kindOf(replace) {
    return !replace ? "" : replace === "transparent" ? replace : replace.startsWith("#") ? "colour" : "file";
  }

  backgroundControls() {
    const replace = () => this.entry.replace, kind = () => this.kindOf(replace());
    const set = (value) => this.model.set(this.row, "replace", value, undefined);
    const choices = [["", "As filmed"], ["transparent", "Transparent"], ["colour", "A colour"]];
    if (this.names.length || kind() === "file") choices.push(["file", "A picture or video"]);
    const controls = [this.choice("Show", null, choices, kind, (value) => set(
      {transparent: "transparent", colour: "#3a6ea5", file: this.names[0] ?? replace()}[value]))];
    if (kind() === "colour") {
      controls.push(this.colour("Colour", () => (kind() === "colour" ? replace() : "#000000"), (value) =>
        this.model.set(this.row, "replace", value, undefined, "background colour")));
    }
    if (kind() === "file") {
      const names = [...new Set([...this.names, replace()])].map((name) => [name, name]);
      controls.push(this.choice("File", null, names, replace, set));
    }
    if (this.files) {
      const choose = element("input", {type: "file", accept: "image/*,video/*"});
      choose.addEventListener("change", () => { if (choose.files[0]) this.files.add(choose.files[0]); });
      controls.push(element("div", {className: "buttons"}, choose, element("button", {
        textContent: "A picture or video …", title: "It is copied into the folder below", onclick: () => choose.click()})),
      element("p", {className: "quiet folder", textContent: `Or put one into ${this.files.folder} and load this page again.`}));
    }
    const hold = element("button", {textContent: "Stand still at this frame", title: "And the camera with it"});
    hold.addEventListener("click", () => this.model.addStep(this.row, {
      hold: nearest(this.model.instance(this.row).sourceTime(this.output)) + 1}));
    return [...controls, element("div", {className: "buttons"}, hold)];
  }

  // What is true for all of the video.
  videoControls() {
    const {model} = this, set = (key, value, fallback) => model.change((values) => {
      if (JSON.stringify(value) === JSON.stringify(fallback)) delete values[key];
      else values[key] = value;
    });
    const whole = {min: 1, units: this.time(1)}, range = () => model.values.range ?? [1, model.length];
    const order = element("span", {className: "value"}), box = element("input", {type: "checkbox"});
    const fits = element("label", {className: "field", title: "As long as it takes until everybody's last frame is seen"},
                         element("span", {textContent: "Until everybody's end"}), box);
    box.addEventListener("change", () => (box.checked ? model.fitLength() : model.setLength(model.length)));
    this.refreshed(() => { box.checked = model.values.length === "fit"; });
    const others = element("button", {textContent: "Everybody else as one row", onclick: () => {
      model.showsOthers = true;
      this.timeline.actions.select({layer: OTHERS, index: 0});
    }});
    this.refreshed(() => { others.parentElement.hidden = model.rows().some(({layer}) => layer === OTHERS); });
    const asFilmed = element("button", {textContent: "As filmed", onclick: () => set("order", undefined, undefined)});
    this.refreshed(() => {
      order.textContent = model.values.order ? model.order(this.output).join(" → ") : "as filmed";
      asFilmed.hidden = !model.values.order;
    });
    return [
      this.plain("Length in frames", () => model.length, (value) => model.setLength(value),
                 {min: 1, max: LIMITS.longest, units: this.time(0)}),
      fits,
      this.plain("Render from", () => range()[0], (value) => set("range", [Math.min(value, range()[1]), range()[1]],
                                                                 [1, model.length]), whole),
      this.plain("to", () => range()[1], (value) => set("range", [range()[0],
        Math.min(Math.max(value, range()[0]), model.length)], [1, model.length]), whole),
      this.choice("Between frames", null, Object.entries(LIMITS.interpolations),
                  () => model.values.interpolation ?? "nearest", (value) => set("interpolation", value, "nearest")),
      element("div", {className: "field"}, element("span", {textContent: "Back to front"}), order, asFilmed),
      element("div", {className: "buttons"}, others),
      this.choice("Times in", null, Object.entries(UNITS), () => this.timeline.units.kind, this.timeline.actions.setUnits),
      ...model.markers.map((_, i) => this.marker(i)),
    ];
  }

  // A marker of the video: its frame and its name.
  marker(i) {
    const {model, timeline} = this, marker = () => model.markers[i] ?? [1, ""];
    const frame = numberField({read: () => marker()[0], write: (value) => model.moveMarker(marker(), value), min: 1,
                               units: this.time(1)});
    const name = element("input", {type: "text", maxLength: LIMITS.longest_name, spellcheck: false, ariaLabel: "Name of the marker"});
    frame.setAttribute("aria-label", "Frame of the marker");
    name.addEventListener("change", () => {
      const text = name.value.trim();
      if (text) model.setMarkers(model.markers.map((one, at) => (at === i ? [one[0], text] : one)));
    });
    this.refreshed(() => {
      frame.show();
      if (!isTypedInto(name)) [name.value] = [marker()[1]];
    });
    const away = element("button", {textContent: "×", title: "Take this marker away", onclick: () => {
      timeline.pickMarker(null);
      model.setMarkers(model.markers.filter((_, at) => at !== i));
    }});
    return element("div", {className: "step marker"}, frame, name, away);
  }
}

// The value of a time step as it is written in its field; undefined: it is none.
function stepValue(name, text, clipLength) {
  let value;
  if (name === "speed" && Number.isFinite(numberFrom(text))) value = numberFrom(text);
  else {
    try {
      value = JSON.parse(text === "true" || text.startsWith("[") || !text.includes(",") ? text : `[${text}]`);
    } catch {
      return undefined;
    }
  }
  const isNumber = (one) => typeof one === "number";
  const isPair = (one) => Array.isArray(one) && one.slice(0, 2).every(isNumber);
  const isFrames = isPair(value) && value.length >= 2 && value.every(isNumber)
    && value[0] < value[1] + (name !== "pingpong");
  const isKeys = Array.isArray(value) && value.length > 0 && value.every((key, i) =>
    isPair(key) && key.length >= 2 && (i === 0 || key[0] > value[i - 1][0]));
  const isInClip = (frame) => frame >= 1 && frame <= clipLength;
  const isRight = {
    offset: () => isNumber(value), hold: () => isNumber(value) && isInClip(value),
    freeze: () => isFrames && value.length === 2, cut: () => isFrames && value.length === 2,
    speed: () => isNumber(value) || isKeys, reverse: () => value === true || (isFrames && value.length === 2),
    loop: () => isFrames && value.length <= 3, pingpong: () => isFrames && value.length <= 3,
    align: () => isKeys && value.every(([, source]) => isInClip(source)),
  }[name];
  return isRight() ? value : undefined;
}
