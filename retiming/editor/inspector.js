// The settings of the selected row and of the whole edit, at the right.
"use strict";

const STEP_HELP = {
  offset: "Frames later", freeze: "Stands still at, until", hold: "Shows frame", speed: "Speed", reverse: "Backwards",
  loop: "Over and over, from, to", pingpong: "There and back, from, to", align: "Pins: frame, shown frame",
};
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

  title(row) { return this.timeline.title(row); }

  // The pin that is picked, where it is one.
  get pin() {
    const {picks} = this.timeline;
    return picks.length === 1 ? picks[0] : null;
  }

  // Show a row; only what has changed in kind is built anew, so that a slider that is held stays.
  update(row, output) {
    Object.assign(this, {row, output});
    const entry = this.model.entry(row), {values} = this.model;
    const shape = JSON.stringify([rowName(row), (entry.time ?? []).map(stepName), Boolean(entry.trail),
      this.kindOf(values.background?.replace), this.names.length, entriesOf(values, row.layer).length,
      Boolean(this.pin)]);
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

  sections() {
    const {row} = this;
    if (row.layer === BACKGROUND) {
      return [this.section(this.title(row), this.backgroundControls()), this.section("Time", this.timeControls()),
              this.section("Colour", this.colourControls()), this.section("Video", this.videoControls())];
    }
    const one = [this.number("opacity"), this.number("effects")];
    if (entriesOf(this.model.values, row.layer).length > 1) {
      one.push(element("div", {className: "buttons"}, element("button", {
        textContent: "Delete this copy", onclick: () => this.model.deleteInstance(row)})));
    }
    return [this.section(this.title(row), one), this.section("Time", this.timeControls()),
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
    const shown = () => Math.round(1000 * curveAt(this.entry[key] ?? defaultOf(key), this.output)) / 1000;
    const diamond = element("button", {className: "diamond", textContent: "◆"});
    slider.dataset.key = key;
    slider.setAttribute("aria-label", label);
    const set = (value) => this.model.setNumber(this.row, key, value, this.output, merge());
    const exact = numberField({read: shown, min: low, max: high, step, write: (value) => {
      set(value);
      this.model.endMerge();
    }});
    exact.setAttribute("aria-label", label);
    slider.addEventListener("input", () => set(Number(slider.value)));
    slider.addEventListener("change", () => this.model.endMerge());
    slider.addEventListener("dblclick", () => { set(defaultOf(key)); this.model.endMerge(); });
    diamond.addEventListener("click", () => this.model.toggleKey(this.row, key, this.output));
    this.refreshed(() => {
      const found = this.entry[key] ?? defaultOf(key);
      slider.value = shown();
      exact.show();
      const isKey = isKeyed(found) && found.some(([at]) => at === this.output + 1);
      diamond.className = `diamond${isKeyed(found) ? " keyed" : ""}${isKey ? " here" : ""}`;
      diamond.title = !isKeyed(found) ? "Let it change over time"
        : isKey ? "Take this key away" : "Set a key in this frame";
    });
    return element("div", {className: "number"}, element("span", {textContent: label}), slider, exact, diamond);
  }

  choice(label, key, choices, read = () => this.entry[key], write = null) {
    const options = choices.map(([value, textContent]) => element("option", {value, textContent}));
    const select = element("select", {}, ...options);
    select.addEventListener("change", () => (write ?? ((value) =>
      this.model.set(this.row, key, value || undefined, undefined)))(select.value));
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
    const list = steps.map((step, i) => this.step(i, stepName(step)));
    const add = element("select", {title: "Add a time step", ariaLabel: "Add a time step"},
                        ...["", ...Object.keys(STEP_HELP)].map((value) =>
      element("option", {value, textContent: value || "Add a step …"})));
    add.addEventListener("change", () => {
      const here = this.output + 1, end = Math.min(here + 11, this.model.clip.length);
      const [first, last] = end > here ? [here, end] : [Math.max(here - 11, 1), here];
      const source = nearest(this.model.instance(this.row).sourceTime(this.output) ?? 0) + 1;
      const value = {offset: 12, freeze: [here, here + 12], hold: source, speed: 0.5, reverse: true,
                     loop: [first, last], pingpong: [first, last], align: [[here, source]]}[add.value];
      if (value !== undefined) this.model.addStep(this.row, {[add.value]: value});
      add.value = "";
    });
    const more = this.row.layer === BACKGROUND ? [] : [
      this.choice("Beyond the clip", "ends", [["", "Hold the end"], ["hide", "Show nothing"]])];
    return [...this.pin ? this.pinControls() : [], ...list, element("div", {className: "buttons"}, add), ...more,
            this.choice("Between frames", "interpolation", [["", "As the video"],
                                                            ...Object.entries(LIMITS.interpolations)])];
  }

  // The pin that is picked: where it is, what it shows, and how fast it goes on.
  pinControls() {
    const {model, timeline} = this, row = () => this.row;
    const output = () => (this.pin ? model.pinOutput(row(), this.pin) ?? 0 : 0);
    const speed = () => {
      const {sourceTime} = model.instance(row());
      return Math.round(100 * (sourceTime(output() + 0.5) - sourceTime(output())) * 2);
    };
    return [
      this.plain("Pin at frame", () => output() + 1, (value) => timeline.nudge(value - 1 - output(), 0),
                 {min: 1, units: this.time(1)}),
      this.plain("shows frame", () => this.pin?.[1] ?? 1, (value) => timeline.nudge(0, value - this.pin[1]),
                 {min: 1, max: model.clip.length, units: this.time(1)}),
      this.plain("Speed after it", () => `${speed()}%`, (value) => model.setSpeedAfter(row(), this.pin, value),
                 {min: 0.01, max: 100, step: 0.05}),
    ];
  }

  // A time step as the edit file has it.
  step(i, name) {
    const input = element("input", {type: "text", spellcheck: false, title: STEP_HELP[name]});
    const current = () => this.entry.time?.[i]?.[name];
    input.dataset.step = name;
    input.setAttribute("aria-label", `${name}: ${STEP_HELP[name]}`);
    input.addEventListener("change", () => {
      let value;
      try {
        const text = input.value.trim();
        value = JSON.parse(text === "true" || text.startsWith("[") || !text.includes(",") ? text : `[${text}]`);
        const step = {...this.entry.time[i], [name]: value};
        if (!Number.isFinite(warpOf(step, this.model.clip.length)(1))) throw new Error(name);
      } catch {
        input.classList.add("wrong");
        return;
      }
      this.model.changeEntry(this.row, (entry) => { entry.time[i][name] = value; });
      input.classList.remove("wrong");
    });
    this.refreshed(() => {
      if (isTypedInto(input) || input.matches(".wrong:focus") || current() === undefined) return;
      const text = JSON.stringify(current()).replaceAll(",", ", ");
      input.value = /^\[[^[]*\]$/.test(text) ? text.slice(1, -1) : text;
      input.classList.remove("wrong");
    });
    const away = element("button", {textContent: "×", title: "Take this step away"});
    away.addEventListener("click", () => this.model.changeEntry(this.row, (entry) => { entry.time.splice(i, 1); }));
    return element("div", {className: "step"}, element("span", {textContent: name}), input, away);
  }

  trailControls() {
    const box = element("input", {type: "checkbox"}), entry = this.entry;
    box.dataset.key = "trail";
    box.addEventListener("change", () => this.model.set(this.row, "trail",
      box.checked ? {...TRAIL} : undefined, undefined));
    this.refreshed(() => { box.checked = Boolean(this.entry.trail); });
    const controls = [element("label", {className: "field"}, element("span", {textContent: "Copies follow"}), box)];
    if (!entry.trail) return controls;
    const of = (label, key, step) => this.plain(label, () => this.entry.trail?.[key] ?? TRAIL[key],
      (value) => this.model.changeEntry(this.row, (changed) => { changed.trail[key] = value; }),
      {min: LIMITS.trail[key].low, max: LIMITS.trail[key].high, step});
    return [...controls, of("Copies", "copies", 1), of("Frames between", "spacing", 0.5), of("Fade", "fade", 0.05)];
  }

  colourControls() {
    return [this.number("saturation"), this.number("gain"), this.colour("Tint", () => this.entry.tint ?? "#ffffff",
      (value) => this.model.set(this.row, "tint", value, "#ffffff", `${rowName(this.row)} tint`))];
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
    const order = element("span", {className: "value"});
    const asFilmed = element("button", {textContent: "As filmed", onclick: () => set("order", undefined, undefined)});
    this.refreshed(() => {
      order.textContent = model.values.order ? model.order(this.output).join(" → ") : "as filmed";
      asFilmed.hidden = !model.values.order;
    });
    return [
      this.plain("Length in frames", () => model.length, (value) => model.change((values) => {
        values.length = value;
        if (value === model.clip.length) delete values.length;
        if (values.range?.[1] > value) delete values.range;
      }), {min: 1, max: LIMITS.longest, units: this.time(0)}),
      element("div", {className: "buttons"}, element("button", {textContent: "Length to show everybody's end",
        title: "As long as it takes until everybody's last frame is seen", onclick: () => model.fitLength()})),
      this.plain("Render from", () => range()[0], (value) => set("range", [Math.min(value, range()[1]), range()[1]],
                                                                 [1, model.length]), whole),
      this.plain("to", () => range()[1], (value) => set("range", [range()[0],
        Math.min(Math.max(value, range()[0]), model.length)], [1, model.length]), whole),
      this.choice("Between frames", null, Object.entries(LIMITS.interpolations),
                  () => model.values.interpolation ?? "nearest", (value) => set("interpolation", value, "nearest")),
      element("div", {className: "field"}, element("span", {textContent: "Back to front"}), order, asFilmed),
    ];
  }
}
