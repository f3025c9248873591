// The page: playing, tools, keyboard, and files. What is shown when the picture stands still is what retime.py renders,
// where there is a server; while it plays, it is composited here.
"use strict";

const SETTLED = 120;     // milliseconds without a change before the rendered picture is asked for
const AT_ONCE = [6, 6, 2];  // pictures that are loaded, by rank (see Loads)
const AS_FILMED = {};    // an edit

class Editor {
  constructor({clip, edit}) {
    Object.assign(this, {clip, output: 0, original: false});
    this.source = clip.pictures ? new Embedded(clip) : new Server(clip);
    this.loads = new Loads(AT_ONCE);
    this.compositor = new WebGLCompositor(find("#picture"), clip, this.source, this.loads, () => this.pictureCame(),
                                          (error) => this.tell(error.message, "error"));
    this.viewer = new Viewer(clip.size, {show: () => this.show(), colourAt: (x, y) => this.colourAt(x, y)});
    this.model = new Model(clip, edit, () => this.changed());
    this.thumbnails = new Thumbnails(
      clip.length, this.loads, (layer, frame) => this.source.thumbnail(layer === BACKGROUND ? 0 : layer, frame),
      () => this.soon("thumbnails", () => this.timeline.draw()),
      (layer, frame) => (layer === BACKGROUND ? clip.backgrounds[frame] : frame));
    this.sound = new Sound(clip.rate);
    this.player = new Player(this.stage(), this.sound);
    this.timeline = new Timeline(this.model, this.thumbnails, this.sound, {
      seek: (frame) => this.seek(frame), select: (row) => this.select(row),
      toggleRemoved: (row) => this.model.toggleRemoved(row), toggleSolo: (row) => this.model.toggleSolo(row),
      picked: () => this.soon("panels", () => this.updatePanels())});
    this.names = [];
    this.inspector = new Inspector(find("#inspector"), this.model, this.timeline, this.names, this.source.renders
      ? {folder: clip.folder, add: (file) => this.addBackground(file)} : null);
    this.row = this.model.rows().at(-1);
    this.pending = {};
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
    for (const input of document.querySelectorAll("[data-file-name]")) {
      input.pattern = LIMITS.file_name;
      input.addEventListener("input", () => this.checkName(input));
    }
    this.editName = clip.edit_name ?? "edit";
    this.ownName = clip.edit_name;  // of the file that is written again without a question
    this.start = JSON.stringify(edit);
    const unsaved = this.unsaved;
    this.connect();
    this.changed();
    this.readFiles();
    this.readSound();
    if (this.source.renders) this.followRendering();
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
    this.loads.retry();
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
    const isOther = !sameRow(row, this.row);
    this.row = row;
    this.soon("panels", () => this.updatePanels());
    if (isOther && VIEWS[this.viewer.what][1]) this.show();
  }

  seek(output) {
    this.output = Math.min(Math.max(output, 0), this.model.length - 1);
    if (this.playing) this.player.restart(this.output);
    this.timeline.reveal(this.output);
    this.loads.retry();
    this.show();
  }

  // What is drawn of an output frame: the edit, the original while that is asked for, or both beside each other.
  parts(output) {
    const edit = {values: this.model.values, output}, column = this.viewer.wipeColumn;
    const original = {values: AS_FILMED, output: Math.min(output, this.clip.length - 1)};
    if (this.original) return [original];
    return column === null ? [edit] : [{...original, right: column}, {...edit, left: column}];
  }

  get view() { return this.viewer.view(this.row); }

  // Show the frame by what is there; what is missing comes later.
  show() {
    const {view, viewer, model} = this;
    find("#exact").hidden = true;
    if (this.playing) this.player.drawn = null;
    else this.draw(this.output);
    this.fields[0].show();
    this.showTime();
    if (!this.playing) {
      this.soon("seek", () => this.inspector.seek(this.output));
      this.showQuality();
      this.showBusy();
    }
    viewer.update(!view.matte && (view.layer > 0 || model.values.background?.replace === "transparent"));
    this.askForExact();
  }

  draw(output) {
    try {
      this.isDrawn = this.compositor.draw(this.parts(output), this.view, this.playing);
      if (this.isDrawn) this.drawn = output;
    } catch (error) {
      this.isDrawn = true;
      this.tell(`this edit cannot be shown (${error.message})`, "error");
    }
  }

  showTime() {
    find("#time").textContent = `of ${this.model.length} · ${(this.output / this.clip.rate).toFixed(2)} s`;
    this.timeline.movePlayhead(this.output);
    if (this.playing) this.timeline.reveal(this.output);
  }

  // How what is seen was made.
  showQuality() {
    const {player, source} = this, rate = `${Math.round(this.clip.rate * 100) / 100}`;
    find("#quality").textContent = this.playing ? `${player.shownTimes.length} of ${rate} frames/s`
      : `${rate} fps · ${!find("#exact").hidden ? "as rendered" : source.renders ? "preview" : "composited here"}`;
  }

  // Say so where another frame is seen than the one that is asked for.
  showBusy() {
    const box = find("#busy"), isBusy = !this.isDrawn && find("#exact").hidden && !this.playing;
    find("#screen").classList.toggle("waiting", isBusy);
    box.hidden = !isBusy;
    box.textContent = `loading frame ${this.output + 1} …`;
    if (this.drawn !== undefined && this.drawn !== this.output) box.textContent += ` this is frame ${this.drawn + 1}`;
  }

  pictureCame() {
    if (this.isDrawn || this.playing) return;
    this.soon("came", () => {
      this.draw(this.output);
      this.showBusy();
      this.viewer.readPixel();
    });
  }

  // The straight RGBA of what is seen in a pixel, null where that is nothing yet.
  colourAt(x, y) {
    const exact = find("#exact"), {wipeColumn} = this.viewer;
    if (exact.hidden || (wipeColumn !== null && x < wipeColumn))
      return this.isDrawn ? this.compositor.colourAt(x, y) : null;
    this.probe ??= element("canvas", {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
    this.probe.clearRect(0, 0, 1, 1);
    this.probe.drawImage(exact, x, y, 1, 1, 0, 0, 1, 1);
    return [...this.probe.getImageData(0, 0, 1, 1).data];
  }

  // The rendered picture takes the place of the composited one once nothing changes any more.
  askForExact() {
    clearTimeout(this.exactTimer);
    this.exactAsked = null;
    if (this.playing || this.original || !this.source.renders) return;
    const {output, view} = this;
    this.exactTimer = setTimeout(async () => {
      const asked = this.exactAsked = {};
      try {
        const blob = await this.source.frame(this.model.values, output, view), image = find("#exact");
        if (this.exactAsked !== asked) return;
        URL.revokeObjectURL(image.src);
        image.src = URL.createObjectURL(blob);
        await image.decode();
        if (this.exactAsked !== asked) return;
        const column = this.viewer.wipeColumn;
        image.style.clipPath = column === null ? "" : `inset(0 0 0 ${100 * column / this.clip.size[0]}%)`;
        image.hidden = false;
        this.showBusy();
        this.showQuality();
        this.viewer.readPixel();
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

  get playing() { return this.player.playing; }
  get speed() { return this.player.speed; }
  get range() { return (this.model.values.range ?? [1, this.model.length]).map((frame) => frame - 1); }

  // What the player plays on.
  stage() {
    const {pictures} = this.compositor;
    return {
      rate: this.clip.rate, range: () => this.range,
      begin: () => pictures.begin(),
      isReady: (frame, asks) => this.compositor.isReady(this.parts(frame), this.view, asks),
      canAsk: () => pictures.hasRoom && !this.loads.waiting.some(({rank}) => rank < 2),
      draw: (frame) => {
        this.draw(frame);
        this.showQuality();
      },
      seek: (frame) => {
        this.output = frame;
        this.fields[0].show();
        this.showTime();
      },
    };
  }

  togglePlaying(speed = 1) {
    this.player.toggle(this.output, speed);
    this.playingChanged();
  }

  shuttle(direction) {
    this.player.shuttle(direction, this.output);
    this.playingChanged();
  }

  playingChanged() {
    find("#play").textContent = this.playing ? "Pause" : "Play";
    this.compositor.pictures.loops = this.playing;
    this.show();
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

  // Say in words what a name may be.
  checkName(input) {
    input.setCustomValidity("");
    if (input.validity.patternMismatch)
      input.setCustomValidity(`Letters, digits, spaces, _ and - alone; the ending is added`);
    const hint = input.closest("form").querySelector(".hint");
    hint.textContent = input.validity.customError ? input.validationMessage : "";
  }

  // Put a picture or video of the user's into the background's place.
  async addBackground(file) {
    this.tell(`Taking ${file.name} over …`);
    try {
      const {name} = await this.source.addBackground(file);
      this.names.push(name);
      this.model.set({layer: BACKGROUND, index: 0}, "replace", name, undefined);
      this.tell(`The background is ${name}`);
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
    find("#render-dialog").showModal();
    this.checkRendering();
    this.followRendering();
  }

  // Say before it is tried that an edit cannot be written in a format.
  checkRendering() {
    const format = find("#render-format").value, {replace} = this.model.values.background ?? {};
    this.checkName(find("#render-name"));
    const isLost = !this.rendersLayers && replace === "transparent" && LIMITS.without_alpha.includes(format);
    if (isLost) {
      find("#render-hint").textContent = `${format.toUpperCase()} has no transparency, and this edit no background: choose `
        + "another format, or give it a background";
    }
    find("#render-start").disabled = isLost || this.rendering?.state === "running";
  }

  get rendersLayers() { return find("#render-what").value === "layers"; }

  showFormats() {
    const formats = this.rendersLayers ? LIMITS.layer_formats : LIMITS.formats;
    find("#render-format").replaceChildren(...Object.entries(formats).map(([value, textContent]) =>
      element("option", {value, textContent})));
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

  // Show how far the rendering is, in its dialog and, while that is closed, at the top; there is a word at its end, too.
  async followRendering() {
    clearTimeout(this.renderTimer);
    const before = this.rendering?.state;
    try {
      this.rendering = await this.source.progress();
    } catch (error) {
      find("#render-state").textContent = error.message;
      return;
    }
    const {state, done, total, file, failure, warnings} = this.rendering, running = state === "running";
    const name = file?.split(/[\\/]/).at(-1), isVideo = state === "done" && /\.(mp4|webm|mov|gif)$/.test(name);
    const text = {
      none: "", running: `Rendering ${Math.floor(100 * done / total)} %`, done: `Rendered: ${name}`,
      failed: "Rendering failed", cancelled: "Rendering stopped",
    }[state];
    find("#render-bar").value = state === "done" ? 1 : running ? done / total : 0;
    find("#render-state").textContent = {
      none: `Into ${this.clip.folder}, with the clip's frame rate and sound.`, running: `${done} of ${total} frames`,
      done: [`Ready: ${file}`, ...warnings ?? []].join("\n"), failed: failure,
      cancelled: "Stopped; nothing was written.",
    }[state];
    find("#render-cancel").hidden = !running;
    for (const id of ["render-play", "rendering-play"]) find(`#${id}`).hidden = !isVideo;
    if (running || before === "running") {
      find("#rendering").hidden = false;
      find("#rendering-text").textContent = text;
      find("#rendering-text").title = failure || file;
    }
    this.checkRendering();
    if (running) this.renderTimer = setTimeout(() => this.followRendering(), 200);
  }

  // Play what was rendered last, or give it to be kept where browsers cannot play it.
  async playRendered() {
    const name = this.rendering.file.split(/[\\/]/).at(-1), dialog = find("#result-dialog");
    try {
      const url = URL.createObjectURL(await this.source.rendered());
      const result = name.endsWith(".gif") ? element("img", {src: url, alt: name})
        : name.endsWith(".mov") ? element("p", {textContent: "Browsers do not play ProRes: save a copy, or open "
            + this.rendering.file})
          : element("video", {src: url, controls: true, autoplay: true, loop: true});
      find("#result-title").textContent = name;
      find("#result").replaceChildren(result);
      Object.assign(find("#result-save"), {href: url, download: name});
      find("#render-dialog").close();
      dialog.showModal();
      dialog.addEventListener("close", () => {
        find("#result").replaceChildren();
        URL.revokeObjectURL(url);
      }, {once: true});
    } catch (error) {
      this.tell(error.message, "error");
    }
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
      "render-cancel": () => this.source.cancel(), "render-play": () => this.playRendered(),
      "rendering-text": () => this.renderDialog(), "rendering-play": () => this.playRendered(),
      "rendering-close": () => { find("#rendering").hidden = true; },
      "save-file": () => { find("#save-dialog").close(); this.saveToFile(); },
      "open-new": () => this.load("{}", "edit"),
    };
    for (const [id, action] of Object.entries(actions)) {
      find(`#${id}`).addEventListener("click", () => action());
    }
    for (const button of document.querySelectorAll("[data-close]"))
      button.addEventListener("click", () => button.closest("dialog").close());
    find("#render-format").addEventListener("change", () => this.checkRendering());
    find("#render-dialog form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.startRendering();
    });
    find("#render-what").addEventListener("change", () => {
      this.showFormats();
      this.checkRendering();
    });
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
    const {model, viewer} = this, step = (frames) => ({shiftKey}) => this.seek(this.output + (shiftKey ? 10 : 1) * frames);
    const turn = (list) => ({shiftKey}) => viewer.turn(list, shiftKey ? -1 : 1);
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
      v: ["V, G", "Picture, mattes, layer, background; its ground", turn("view")], g: [null, null, turn("ground")],
      w: ["W", "Wipe: original | edit", () => viewer.toggleWipe()],
      ...Object.fromEntries(ZOOMS.map((zoom, i) => [zoom, [i ? null : "1 2 4", i ? null
        : "Picture at 100, 200, 400 %; again: all of it", () => viewer.toggleZoom(zoom)]])),
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
      ArrowLeft: ["Ctrl ← → ↑ ↓", "Move over a picture larger than its place", () => viewer.pan(PAN, 0)],
      ArrowRight: [null, null, () => viewer.pan(-PAN, 0)], ArrowUp: [null, null, () => viewer.pan(0, PAN)],
      ArrowDown: [null, null, () => viewer.pan(0, -PAN)],
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
