// The page: playing, tools, keyboard, and files. What is shown when the picture stands still is what retime.py renders,
// where there is a server; while it plays, it is composited here.
"use strict";

const SETTLED = 120;     // milliseconds without a change before the rendered picture is asked for
const AHEAD = 12;        // frames that are fetched before they are shown

class Editor {
  constructor({clip, edit}) {
    Object.assign(this, {clip, output: 0, playing: false, speed: 1, original: false, shownTimes: []});
    this.source = clip.pictures ? new Embedded(clip) : new Server(clip);
    this.compositor = new WebGLCompositor(find("#picture"), clip, this.source, () => this.pictureCame(),
                                          (error) => this.tell(error.message, "error"));
    this.model = new Model(clip, edit, () => this.changed());
    this.thumbnails = new Thumbnails(
      clip.length, (layer, frame) => this.source.thumbnail(layer === BACKGROUND ? 0 : layer, frame),
      () => this.soon("thumbnails", () => this.timeline.draw()));
    this.sound = new Sound(clip.rate);
    this.timeline = new Timeline(this.model, this.thumbnails, this.sound, {
      seek: (frame) => this.seek(frame), select: (row) => this.select(row),
      toggleRemoved: (row) => this.model.toggleRemoved(row), toggleSolo: (row) => this.model.toggleSolo(row),
      picked: () => this.soon("panels", () => this.updatePanels())});
    this.names = [];
    this.inspector = new Inspector(find("#inspector"), this.model, this.timeline, this.names);
    this.row = this.model.rows().at(-1);
    this.pending = {};
    find("#screen").style.setProperty("--aspect", clip.size[0] / clip.size[1]);
    find("#clip-name").textContent = clip.name;
    this.freezeLength = Math.max(Math.round(clip.rate / 2), 1);
    const fields = {
      frame: {read: () => this.output + 1, write: (value) => this.seek(value - 1), units: () => ({rate: clip.rate, first: 1})},
      "freeze-length": {read: () => this.freezeLength, write: (value) => { this.freezeLength = value; },
                        units: () => ({rate: clip.rate})},
    };
    this.fields = Object.entries(fields).map(([id, options]) => {
      const field = Object.assign(numberField({min: 1, ...options}), {id});
      find(`#${id}`).replaceWith(field);
      field.show();
      return field;
    });
    find("#render").hidden = !this.source.renders;
    this.showFormats();
    for (const input of document.querySelectorAll("[data-file-name]"))
      Object.assign(input, {pattern: LIMITS.file_name, title: "Letters, digits, spaces, _ and -, at most 61"});
    this.editName = clip.edit_name ?? "edit";
    this.ownName = clip.edit_name;  // of the file that is written again without a question
    this.start = JSON.stringify(edit);
    const unsaved = this.unsaved;
    this.connect();
    this.changed();
    this.readFiles();
    this.readSound();
    if (this.source.renders) this.followRendering();  // one may go on since before the page was loaded
    if (unsaved && unsaved.start === this.start) this.takeBack(unsaved);
    else this.earlier = unsaved;
  }

  // ---- work that is not saved, kept by the browser until it is ------------------------------------------------------

  get place() { return `retime ${this.clip.folder ?? location.pathname} ${this.clip.name}`; }

  get unsaved() {
    try {
      return JSON.parse(localStorage.getItem(this.place));
    } catch {
      return null;
    }
  }

  // Keep the edit, if it has changes; tells whether they are safe.
  keep() {
    const {values, changed, saved} = this.model;
    try {
      if (!changed) localStorage.removeItem(this.place);
      else localStorage.setItem(this.place, JSON.stringify({values, saved, name: this.editName, start: this.start,
                                                            time: new Date().toLocaleString()}));
      return true;
    } catch {
      return !changed;
    }
  }

  takeBack({values, saved, name, time}) {
    this.model.replace(values);
    this.model.saved = saved;
    this.editName = name;
    this.notice = `Your unsaved work of ${time} is here again; Undo shows what was opened`;
    this.changed();
  }

  // Do something once in the next picture of the screen, however often it is asked for.
  soon(name, action) {
    if (this.pending[name]) return;
    this.pending[name] = requestAnimationFrame(() => { this.pending[name] = null; action(); });
  }

  tell(text, kind = "") { Object.assign(find("#message"), {textContent: text, className: kind, title: text}); }

  // ---- what is shown ------------------------------------------------------------------------------------------------

  changed() {
    const rows = this.model.rows();
    if (!rows.some((row) => sameRow(row, this.row)))
      this.row = rows.findLast(({layer}) => layer === this.row.layer) ?? rows.at(-1);
    this.output = Math.min(this.output, this.model.length - 1);
    this.soon("panels", () => this.updatePanels());
    this.keep();
    this.retry();
    this.show();
    this.check();
  }

  updatePanels() {
    this.timeline.update(this.row, this.output);
    this.inspector.update(this.row, this.output);
    this.updateButtons();
  }

  updateButtons() {
    const {model} = this, isPerson = this.row.layer !== BACKGROUND, marked = model.marked.length;
    find("#undo").disabled = !model.past.length;
    find("#redo").disabled = !model.future.length;
    for (const id of ["event", "duplicate", "remove", "backward", "forward"]) find(`#${id}`).disabled = !isPerson;
    find("#remove").textContent = model.values.remove?.includes(this.row.layer) ? "Bring back" : "Remove";
    find("#align").disabled = !marked;
    find("#align").textContent = marked > 1 ? `Align ${marked} events here` : "Align events here";
    find("#edit-name").textContent = `${this.editName}${model.changed ? " · not saved" : ""}`;
  }

  select(row) {
    this.row = row;
    this.soon("panels", () => this.updatePanels());
  }

  seek(output) {
    this.output = Math.min(Math.max(output, 0), this.model.length - 1);
    this.restartClock();
    if (this.playing) this.listen();
    this.timeline.reveal(this.output);
    this.retry();
    this.show();
  }

  // Ask again for what could not be had: the server may be there now.
  retry() {
    this.compositor.pictures.retry();
    this.thumbnails.retry();
  }

  // The edit that is shown: none while the original is.
  get values() { return this.original ? {} : this.model.values; }

  // Show the frame by what is there; what is missing comes later.
  show() {
    find("#exact").hidden = true;
    const output = this.original ? Math.min(this.output, this.clip.length - 1) : this.output;
    try {
      this.isDrawn = this.compositor.draw(this.values, output, this.playing);
    } catch (error) {
      this.isDrawn = true;
      this.tell(`this edit cannot be shown (${error.message})`, "error");
    }
    this.fields[0].show();
    find("#time").textContent = `of ${this.model.length} · ${(this.output / this.clip.rate).toFixed(2)} s`;
    find("#screen").classList.toggle("waiting", !this.isDrawn);
    this.timeline.movePlayhead(this.output);
    if (this.playing) this.timeline.reveal(this.output);
    else {
      this.soon("seek", () => this.inspector.seek(this.output));
      find("#quality").textContent = `${Math.round(this.clip.rate * 100) / 100} fps`;
    }
    this.askForExact(output);
  }

  pictureCame() {
    if (!this.isDrawn && !this.playing) this.soon("came", () => this.show());
  }

  // The rendered picture takes the place of the composited one once nothing changes any more.
  askForExact(output) {
    clearTimeout(this.exactTimer);
    this.exactAsked = null;
    if (this.playing || this.original || !this.source.renders) return;
    this.exactTimer = setTimeout(async () => {
      const asked = this.exactAsked = {};
      try {
        const blob = await this.source.frame(this.model.values, output), image = find("#exact");
        if (this.exactAsked !== asked) return;
        URL.revokeObjectURL(image.src);
        image.src = URL.createObjectURL(blob);
        await image.decode();
        if (this.exactAsked !== asked) return;
        image.hidden = false;
        find("#quality").textContent = "as rendered";
      } catch (error) {
        if (this.exactAsked === asked) this.tell(error.message, "error");
      }
    }, SETTLED);
  }

  async check() {
    const {model: {values}, notice} = this;
    this.notice = "";
    try {
      const {warnings} = await this.source.check(values);
      if (values === this.model.values) this.tell([notice, ...warnings].filter(Boolean).join("   "), "warning");
    } catch (error) {
      if (values === this.model.values) this.tell(error.message, "error");
    }
  }

  // ---- playing ------------------------------------------------------------------------------------------------------

  async readSound() {
    try {
      const bytes = await this.source.sound();
      if (!bytes) return;
      await this.sound.read(bytes);
      find("#sound").hidden = false;
      this.timeline.draw();
    } catch (error) {
      this.tell(`the sound cannot be played (${error.message})`, "warning");
    }
  }

  // What is heard goes with what is shown.
  listen() {
    if (this.playing && this.speed === 1) this.sound.play(this.output);
    else this.sound.stop();
  }

  restartClock() { Object.assign(this, {clockStart: performance.now(), clockOutput: this.output}); }

  // Play at a speed, negative backwards; again in the same direction: twice as fast.
  shuttle(direction) {
    const isFaster = this.playing && Math.sign(this.speed) === direction && Math.abs(this.speed) < 8;
    this.speed = isFaster ? 2 * this.speed : direction;
    this.restartClock();
    if (!this.playing) this.togglePlaying(this.speed);
    else this.listen();
  }

  togglePlaying(speed = 1) {
    this.playing = !this.playing;
    this.speed = speed;
    find("#play").textContent = this.playing ? "Pause" : "Play";
    if (this.playing) {
      const [first, last] = this.range;
      if (speed > 0 && (this.output < first || this.output >= last)) this.output = first;
      if (speed < 0 && (this.output <= first || this.output > last)) this.output = last;
      this.shownTimes = [];
      this.restartClock();
      this.tick();
    } else {
      cancelAnimationFrame(this.nextTick);
    }
    this.listen();
    this.show();
  }

  get range() { return (this.model.values.range ?? [1, this.model.length]).map((frame) => frame - 1); }

  tick() {
    this.nextTick = requestAnimationFrame(() => this.tick());
    const [first, last] = this.range, now = performance.now();
    const passed = Math.trunc((now - this.clockStart) / 1000 * this.clip.rate * this.speed);
    const length = Math.max(last - first + 1, 1), around = (frame) => first + ((frame - first) % length + length) % length;
    const wanted = around(Math.max(this.clockOutput, first) + passed);
    if (wanted === this.output && this.isDrawn) return;
    const before = this.output;
    this.output = wanted;
    if (this.speed === 1 && wanted < before) this.listen();  // it begins again
    this.show();
    if (!this.isDrawn) {  // wait for it, rather than leave it out
      this.output = before;
      this.isDrawn = false;
      Object.assign(this, {clockStart: now - 1000 / this.clip.rate, clockOutput: before, isLate: true});
      return;
    }
    if (this.isLate) {
      this.isLate = false;
      this.listen();
    }
    for (let ahead = 1; ahead <= AHEAD; ahead++)
      this.compositor.prepare(this.values, around(wanted + Math.sign(this.speed) * ahead));
    this.shownTimes = [...this.shownTimes.filter((time) => time > now - 1000), now];
    find("#quality").textContent = `playing, ${this.shownTimes.length} frames/s`;
  }

  showOriginal(isOn) {
    if (this.original === isOn) return;
    this.original = isOn;
    find("#original").setAttribute("aria-pressed", isOn);
    this.show();
  }

  // ---- tools --------------------------------------------------------------------------------------------------------

  // What is rendered begins (0) or ends (1) at the playhead.
  setRange(end) {
    const {model} = this, range = this.range.map((frame) => frame + 1);
    range[end] = this.output + 1;
    if (range[0] > range[1]) range[1 - end] = end ? 1 : model.length;
    model.change((values) => {
      values.range = range;
      if (range[0] === 1 && range[1] === model.length) delete values.range;
    });
  }

  toggleTall() {
    const isTall = find("main").classList.toggle("tall");
    find("#tall").setAttribute("aria-pressed", isTall);
  }

  toggleSnapping() {
    this.timeline.snaps = !this.timeline.snaps;
    find("#snap").setAttribute("aria-pressed", this.timeline.snaps);
  }

  freeze() {
    this.model.freeze(this.row, this.output, this.output + this.freezeLength);
  }

  duplicate() { this.model.duplicate(this.row, Math.max(Math.round(this.clip.rate / 2), 1)); }

  align() {
    const count = this.model.align(this.output);
    if (!count) this.tell("Mark an event of each person first: go to its frame, select the person, press M", "warning");
  }

  // Pins go where they were put last, with the first one at the playhead.
  paste() {
    const {model, row} = this;
    if (!this.copied?.length) return;
    const by = this.output - this.copied[0].output;
    const pins = this.copied.map(({output, source}) => model.pinAt(row, output + by, source))
      .filter(([at]) => at >= 1 && at <= model.length);
    model.putPins(row, pins, model.pins(row));
    this.timeline.pick(pins);
  }

  copy() {
    const {model, row} = this;
    this.copied = this.timeline.picks.map((pin) => ({output: model.pinOutput(row, pin), source: pin[1] - 1}))
      .filter(({output}) => output !== null).sort((a, b) => a.output - b.output);
    if (this.copied.length) this.tell(`${this.copied.length} pins copied; Ctrl V sets them from the playhead on`);
  }

  delete() {
    const {picks} = this.timeline;
    if (picks.length) this.model.deletePins(this.row, picks);
    else this.model.toggleRemoved(this.row);
  }

  selectBeside(direction) {
    const rows = this.model.rows(), at = rows.findIndex((row) => sameRow(row, this.row));
    this.select(rows[Math.min(Math.max(at + direction, 0), rows.length - 1)]);
  }

  // ---- files --------------------------------------------------------------------------------------------------------

  async readFiles() {
    if (!this.source.renders) return;
    try {
      const files = await this.source.files();
      this.names.splice(0, this.names.length, ...files.backgrounds);
      this.savedEdits = files.edits;
      this.inspector.update(this.row, this.output);
    } catch (error) {
      this.tell(error.message, "error");
    }
  }

  // Take over the text of an edit file, if it is one.
  async load(text, name) {
    try {
      await this.source.check(text);
      const values = JSON.parse(text);
      drawsOf(values, this.clip, 0);
      this.model.replace(values);
      this.model.saved = JSON.stringify(this.model.values);
      this.editName = name;
      this.changed();
    } catch (error) {
      this.tell(`${name}: ${error.message.replace(/^edit: /, "")}`, "error");
    }
  }

  async openDialog() {
    await this.readFiles();
    const box = find("#saved-edits");
    const open = (name) => this.source.open(name).then((text) => this.load(text, name))
      .catch((error) => this.tell(error.message, "error"));
    box.replaceChildren(...(this.savedEdits ?? []).map((name) =>
      element("button", {textContent: name, onclick: () => open(name)})));
    if (this.earlier) {
      box.append(element("button", {textContent: `Unsaved work of ${this.earlier.time}`, onclick: () => {
        this.takeBack(this.earlier);
        this.earlier = null;
      }}));
    }
    if (!box.children.length) box.textContent = this.source.renders ? `No edits in ${this.clip.folder} yet.` : "";
    find("#open-dialog").showModal();
  }

  saveDialog() {
    const dialog = find("#save-dialog"), name = dialog.querySelector("[name=name]");
    if (!this.source.renders) return this.saveToFile();
    name.value = this.editName;
    dialog.querySelector("p").textContent = `In ${this.clip.folder}`;
    dialog.showModal();
    name.select();
  }

  async save(name) {
    const {values} = this.model;
    try {
      const saved = await this.source.save(name, values, name === this.ownName);
      if (!saved) return;
      this.ownName = name;
      this.model.saved = this.start = JSON.stringify(values);
      this.editName = name;
      this.keep();
      this.updateButtons();
      this.tell(`Saved: ${saved.file}`);
    } catch (error) {
      this.tell(error.message, "error");
    }
  }

  saveToFile() {
    const file = new Blob([fileText(this.model.values)], {type: "application/json"}), url = URL.createObjectURL(file);
    element("a", {href: url, download: `${this.editName}.json`}).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
    this.model.saved = JSON.stringify(this.model.values);
    this.keep();
    this.updateButtons();
  }

  // ---- rendering ----------------------------------------------------------------------------------------------------

  renderDialog() {
    this.showFormats();
    find("#render-dialog").showModal();
    this.followRendering();
  }

  get rendersLayers() { return find("#render-what").value === "layers"; }

  showFormats() {
    const formats = this.rendersLayers ? LIMITS.layer_formats : LIMITS.formats;
    const box = find("#render-format"), {value} = box;
    const hasAlpha = !this.rendersLayers && this.model.values.background?.replace === "transparent";
    box.replaceChildren(...Object.entries(formats).map(([name, title]) => {
      const disabled = hasAlpha && !/alpha|GIF/.test(title);
      return element("option", {value: name, disabled, textContent: disabled ? `${title}: no transparency` : title});
    }));
    const allowed = [...box.options].filter((option) => !option.disabled);
    box.value = (allowed.find((option) => option.value === value) ?? allowed[0]).value;
    find("#render-apart").hidden = !this.rendersLayers;
  }

  async startRendering() {
    const {model: {values}, source} = this, name = find("#render-name").value, format = find("#render-format").value;
    find("#render-state").textContent = "";
    try {
      await (this.rendersLayers ? source.renderLayers(name, values, format, find("#render-apart input").checked)
        : source.render(`${name}.${format}`, values));
      this.followRendering();
    } catch (error) {
      find("#render-state").textContent = error.message;
    }
  }

  async followRendering() {
    clearTimeout(this.renderTimer);
    let progress;
    try {
      progress = await this.source.progress();
    } catch (error) {
      find("#render-state").textContent = error.message;
      return;
    }
    const {state, done, total, file, failure, warnings} = progress, running = state === "running";
    find("#render-bar").value = state === "done" ? 1 : running ? done / total : 0;
    find("#render").textContent = running ? `Rendering, ${Math.floor(100 * done / total)} %` : "Render";
    const text = {
      none: `Into ${this.clip.folder}, with the clip's frame rate and sound.`, running: `${done} of ${total} frames`,
      done: [`Ready: ${file}`, ...warnings ?? []].join("\n"), failed: failure,
      cancelled: "Stopped; nothing was written.",
    }[state];
    find("#render-state").textContent = text;
    const hasEnded = this.isRendering && !running;
    if (hasEnded && !find("#render-dialog").open)
      this.tell(text.replaceAll("\n", "   "), state === "failed" ? "error" : "");
    this.isRendering = running;
    find("#render-start").disabled = running;
    find("#render-cancel").hidden = !running;
    if (running) this.renderTimer = setTimeout(() => this.followRendering(), 200);
  }

  // ---- buttons and keys ---------------------------------------------------------------------------------------------

  connect() {
    const {model} = this;
    const actions = {
      undo: () => model.undo(), redo: () => model.redo(), open: () => this.openDialog(), save: () => this.saveDialog(),
      render: () => this.renderDialog(), help: () => find("#help-dialog").showModal(), play: () => this.togglePlaying(),
      "to-start": () => this.seek(0), "step-back": () => this.seek(this.output - 1),
      "step-on": () => this.seek(this.output + 1), "to-end": () => this.seek(model.length - 1),
      freeze: () => this.freeze(), event: () => model.toggleEvent(this.row, this.output), align: () => this.align(),
      duplicate: () => this.duplicate(), remove: () => model.toggleRemoved(this.row),
      "zoom-in": () => this.timeline.zoom(0.5), "zoom-out": () => this.timeline.zoom(2),
      "see-all": () => this.timeline.seeAll(), tall: () => this.toggleTall(), snap: () => this.toggleSnapping(),
      backward: () => model.moveInOrder(this.row, -1, this.output),
      forward: () => model.moveInOrder(this.row, 1, this.output),
      "render-cancel": () => this.source.cancel(),
      "save-file": () => { find("#save-dialog").close(); this.saveToFile(); },
      "open-new": () => this.load("{}", "edit"),
    };
    for (const [id, action] of Object.entries(actions)) {
      find(`#${id}`).addEventListener("click", () => action());
    }
    for (const button of document.querySelectorAll("[data-close]"))
      button.addEventListener("click", () => button.closest("dialog").close());
    find("#render-dialog form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.startRendering();
    });
    find("#render-what").addEventListener("change", () => this.showFormats());
    const original = find("#original");
    dragged(original, {start: () => this.showOriginal(true), move: () => {}, end: () => this.showOriginal(false)});
    find("#save-dialog").addEventListener("close", ({target}) => {
      if (target.returnValue === "save") this.save(target.querySelector("[name=name]").value);
      target.returnValue = "";
    });
    find("#open-file").addEventListener("change", async ({target}) => {
      const [file] = target.files;
      find("#open-dialog").close();
      if (file) await this.load(await file.text(), file.name.replace(/\.json$/, ""));
      target.value = "";
    });
    window.addEventListener("beforeunload", (event) => { if (!this.keep()) event.preventDefault(); });
    this.connectKeys(actions);
  }

  connectKeys(actions) {
    const {model} = this, step = (frames) => ({shiftKey}) => this.seek(this.output + (shiftKey ? 10 : 1) * frames);
    const keys = {  // name and meaning for the help; without them it stands there with another
      " ": ["Space", "Play, pause", actions.play], ArrowLeft: ["← →", "One frame; ten with Shift", step(-1)],
      ArrowRight: [null, null, step(1)],
      ArrowUp: ["↑ ↓", "Select a row", () => this.selectBeside(1)],
      ArrowDown: [null, null, () => this.selectBeside(-1)],
      Home: ["Home, End", "To the start, end", actions["to-start"]], End: [null, null, actions["to-end"]],
      f: ["F", "Freeze", actions.freeze], m: ["M", "Mark event", actions.event],
      a: ["A", "Align events", actions.align],
      d: ["D", "Duplicate", actions.duplicate],
      Delete: ["Delete", "Take picked pins away, else the person", () => this.delete()],
      Backspace: [null, null, () => this.delete()], s: ["S", "Solo", () => model.toggleSolo(this.row)],
      p: ["P", "Pin here", () => this.timeline.pick([model.setPin(this.row, this.output,
        model.instance(this.row).sourceTime(this.output) ?? 0)])],
      ",": [", .", "The pin before, after", () => this.timeline.pickBeside(-1)],
      ".": [null, null, () => this.timeline.pickBeside(1)],
      Escape: [null, null, () => this.timeline.pick([])],
      "+": ["+ − 0", "Zoom the time in, out, all of it", actions["zoom-in"]], "=": [null, null, actions["zoom-in"]],
      "-": [null, null, actions["zoom-out"]], 0: [null, null, actions["see-all"]],
      t: ["T", "Tall rows", actions.tall], n: ["N", "Snapping on, off", actions.snap],
      "[": ["[ ]", "Backward, forward", actions.backward], "]": [null, null, actions.forward],
      b: ["B (hold)", "Before: as filmed", () => this.showOriginal(true)],
      j: ["J K L", "Play backwards, stop, forwards; again: faster", () => this.shuttle(-1)],
      k: [null, null, () => { if (this.playing) this.togglePlaying(); }], l: [null, null, () => this.shuttle(1)],
      i: ["I O", "Render from here, to here", () => this.setRange(0)], o: [null, null, () => this.setRange(1)], "?": ["?", "This help", actions.help],
    };
    const nudge = (outputs, sources) => ({shiftKey}) =>
      this.timeline.nudge((shiftKey ? 10 : 1) * outputs, (shiftKey ? 10 : 1) * sources);
    const withAlt = {
      ArrowLeft: ["Alt ← →", "Picked pins a frame earlier, later", nudge(-1, 0)], ArrowRight: [null, null, nudge(1, 0)],
      ArrowUp: ["Alt ↑ ↓", "They show a later, an earlier frame", nudge(0, 1)], ArrowDown: [null, null, nudge(0, -1)],
    };
    const withControl = {
      z: ["Ctrl Z", "Undo", (e) => (e.shiftKey ? model.redo() : model.undo())], y: ["Ctrl Y", "Redo", actions.redo],
      s: ["Ctrl S", "Save", actions.save], o: ["Ctrl O", "Open", actions.open],
      c: ["Ctrl C, V", "Copy, paste pins", () => this.copy()], v: [null, null, () => this.paste()],
    };
    find("#keys").append(...[keys, withAlt, withControl].flatMap(Object.values).filter(([name]) => name)
      .flatMap(([name, text]) => [element("dt", {textContent: name}), element("dd", {textContent: text})]));
    window.addEventListener("keydown", (event) => {
      const {target} = event, letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (find("dialog[open]")) return;
      // Return takes over what was typed, and gives the keys back; what is undone then is the edit.
      if (["Enter", "Escape"].includes(letter) && target.matches(TEXT_FIELDS)) setTimeout(() => target.blur());
      const controlled = event.ctrlKey || event.metaKey, always = controlled && ("so".includes(letter)
        || ("zy".includes(letter) && !typedInto.has(target)));
      const found = (controlled ? withControl : event.altKey ? withAlt : keys)[letter];
      if (!found || (!always && takesKey(target, letter))) return;
      event.preventDefault();
      if (!(event.repeat && !letter.startsWith("Arrow"))) found[2](event);
    });
    window.addEventListener("blur", () => this.showOriginal(false));
    window.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "b") this.showOriginal(false); });
  }
}

const editor = new Editor(dataOf("data"));
