// The page: what is shown, playing, tools and keyboard. A picture that stands still is the one that retime.py renders, where
// there is a server; while it plays, it is composited here.
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
      seek: (frame) => this.seek(frame), select: (row, how) => this.select(row, how),
      setUnits: (kind) => this.setUnits(kind),
      toggleRemoved: (row) => this.model.toggleRemoved(row), toggleSolo: (row) => this.model.toggleSolo(row),
      picked: () => this.soon("panels", () => this.updatePanels())});
    this.files = new Files(clip, this.source, this.model, {
      changed: (notice = "") => { this.notice = notice; this.changed(); }, saved: () => this.updateButtons(),
      listed: () => this.inspector.update(this.row, this.output, this.rows), tell: (...words) => this.tell(...words)});
    this.renderings = new Renderings(clip, this.source, this.model,
                                     {selected: () => this.row, tell: (...words) => this.tell(...words)});
    this.stretch = new StretchDialog(this.model);
    this.inspector = new Inspector(find("#inspector"), this.model, this.timeline, this.files.backgrounds,
      this.source.renders ? {folder: clip.folder, add: (file) => this.files.addBackground(file)} : null);
    this.row = this.model.rows().at(-1);
    this.added = [];  // rows that are picked beside it
    this.pending = {};
    find("#clip-name").textContent = clip.name;
    this.freezeLength = Math.max(Math.round(clip.rate / 2), 1);
    const fields = {
      frame: {read: () => this.timeline.units.text(this.output), write: (value) => this.seek(value - 1),
              units: () => ({rate: clip.rate, first: 1})},
      "freeze-length": {read: () => this.freezeLength, write: (value) => { this.freezeLength = value; },
                        units: () => ({rate: clip.rate})},
    };
    this.fields = Object.entries(fields).map(([id, options]) => {
      const field = Object.assign(numberField({min: 1, ...options}), {id});
      find(`#${id}`).replaceWith(field);
      field.show();
      return field;
    });
    this.connect();
    this.changed();
    this.files.list();
    this.readSound();
    this.files.goOn();
  }

  // Do something once in the next picture of the screen, however often it is asked for.
  soon(name, action) {
    if (this.pending[name]) return;
    this.pending[name] = requestAnimationFrame(() => { this.pending[name] = null; action(); });
  }

  tell(text, kind = "") {
    if (kind === "error") this.checking = null;  // what was asked for before has nothing to say over it
    Object.assign(find("#message"), {textContent: text, className: kind, title: text});
  }

  // ---- what is shown ------------------------------------------------------------------------------------------------

  changed() {
    const rows = this.model.rows();
    if (!rows.some((row) => sameRow(row, this.row)))
      this.row = rows.findLast(({layer}) => layer === this.row.layer) ?? rows.at(-1);
    this.added = this.added.filter((added) => rows.some((row) => sameRow(row, added)) && !sameRow(added, this.row));
    this.output = Math.min(this.output, this.model.length - 1);
    this.soon("panels", () => this.updatePanels());
    this.files.keep();
    this.loads.retry();
    this.show();
    this.check();
  }

  updatePanels() {
    this.timeline.update(this.row, this.output, this.rows);
    this.inspector.update(this.row, this.output, this.rows);
    this.updateButtons();
  }

  updateButtons() {
    const {model, rows} = this, isOne = isPerson(this.row), marked = model.marked.length, late = model.cutOff;
    const cannot = {event: !isOne, duplicate: !isOne, remove: !rows.some(isPerson), backward: !isOne, forward: !isOne};
    find("#undo").disabled = !model.past.length;
    find("#redo").disabled = !model.future.length;
    for (const [id, isOff] of Object.entries(cannot)) find(`#${id}`).disabled = isOff;
    find("#remove").textContent = model.values.remove?.includes(this.row.layer) ? "Bring back" : "Remove";
    find("#fit").hidden = !late;
    if (late) find("#fit").textContent = `Lengthen to ${late.length} frames`;
    find("#fit").title = late ? `Until ${this.lateNames(late)} ends` : "";
    find("#lengthen").setAttribute("aria-pressed", model.values.length === "fit");
    find("#align").disabled = !marked;
    find("#align").textContent = marked > 1 ? `Align ${marked} events here` : "Align events here";
    find("#edit-name").textContent = `${this.files.name}${model.changed ? " · not saved" : ""}`;
  }

  lateNames({layers}) { return layers.map((layer) => this.model.title({layer, index: 0}).split("\n")[0]).join(", "); }

  // Rows that are picked, the one first whose settings are shown.
  get rows() { return [this.row, ...this.added]; }

  // Pick a row: alone, beside the others or no longer ("toggle"), or all from the one that is shown ("until").
  select(row, how = "alone") {
    const before = this.row;
    const without = this.added.filter((added) => !sameRow(added, row)), rows = this.model.rows();
    if (how === "alone") [this.row, this.added] = [row, []];
    else if (how === "until") {
      const [a, b] = [this.row, row].map((one) => rows.findIndex((other) => sameRow(one, other))).sort((x, y) => x - y);
      this.added = rows.slice(a, b + 1).filter((one) => !sameRow(one, this.row));
      this.reached = row;
    } else if (sameRow(row, this.row)) {
      if (this.added.length) [this.row, ...this.added] = this.added;
    } else this.added = without.length < this.added.length ? without : [...without, row];
    this.soon("panels", () => this.updatePanels());
    if (!sameRow(before, this.row) && VIEWS[this.viewer.what][1]) this.show();
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
    if (this.playing) this.player.refresh();
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
    const seconds = this.timeline.units.kind === "frames" ? ` · ${(this.output / this.clip.rate).toFixed(2)} s` : "";
    find("#time").textContent = `of ${this.model.length}${seconds}`;
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
    const isOther = this.drawn !== undefined && this.drawn !== this.output;
    box.textContent = `loading frame ${this.output + 1} …${isOther ? ` this is frame ${this.drawn + 1}` : ""}`;
  }

  pictureCame() {
    this.player.came();
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
    const {model: {values}, notice} = this, asked = this.checking = {};  // answers may overtake each other
    this.notice = "";
    try {
      const {warnings} = await this.source.check(values), late = this.model.cutOff;
      const told = warnings.filter((text) => !(late && text.includes('"fit"')));  // that is told by names, with a button
      if (late) told.push(`${this.lateNames(late)}: slowed down, ends after the video.`);
      if (asked === this.checking) this.tell([notice, ...told].filter(Boolean).join("   "), "warning");
    } catch (error) {
      if (asked === this.checking) this.tell(error.message, "error");
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

  // Where the video is lengthened as need be, what comes after moves along.
  freeze() {
    const {model, output, rows} = this, until = output + this.freezeLength;
    if (model.values.length === "fit") model.ripple(rows, {freeze: [output + 1, until + 1]});
    else model.freeze(rows, output, until);
  }

  toggleLengthening() {
    const {model} = this;
    if (model.values.length === "fit") model.setLength(model.clip.length);
    else model.fitLength();
  }

  // The dialog for a stretch: between picked points, what is rendered, or a second from here on.
  stretchDialog() {
    const {timeline, model} = this, picks = timeline.picks.map((point) =>
      model.pointOutput(this.row, timeline.track, point)).filter((output) => output !== null);
    const [first, last] = this.range, isRange = Boolean(model.values.range) && this.output >= first && this.output <= last;
    const from = picks.length > 1 ? Math.min(...picks) : isRange ? first : this.output;
    const to = picks.length > 1 ? Math.max(...picks) : isRange ? last : from + Math.max(Math.round(this.clip.rate), 1);
    this.stretch.open(this.rows, from, to);
  }

  duplicate() { this.model.duplicate(this.row, Math.max(Math.round(this.clip.rate / 2), 1)); }

  moveInOrder(direction) {
    if (isPerson(this.row) && !this.model.moveInOrder(this.row, direction, this.output))
      this.tell(`${this.model.title(this.row)} is ${direction > 0 ? "in front of" : "behind"} everybody already`);
  }

  align() {
    const count = this.model.align(this.output);
    if (!count) this.tell("Mark an event of each person first: go to its frame, select the person, press M", "warning");
  }

  // Points go, in all picked rows, where they were put last, with the first one at the playhead.
  paste() {
    const {model, timeline} = this, {track, points} = this.copied ?? {};
    if (!points?.length) return;
    const by = this.output - points[0].output, picked = [];
    for (const row of this.rows) {
      if (track !== TIME && row.layer === BACKGROUND && !["saturation", "gain"].includes(track)) continue;
      const put = points.map(({output, value, handles}) => [...model.pointAt(row, track, output + by, value), ...handles])
        .filter(([at]) => at >= 1 && at <= model.length);
      model.putPoints(row, track, put, model.points(row, track), `paste ${this.output}`);
      if (sameRow(row, this.row)) picked.push(...put);
    }
    model.endMerge();
    if (timeline.track !== track) timeline.showTrack(track);
    timeline.pick(picked);
  }

  copy() {
    const {model, row, timeline: {track, picks}} = this;
    const points = picks.map((point) => ({output: model.pointOutput(row, track, point), handles: point.slice(2),
                                          value: model.shownValue(track, point[1])}))
      .filter(({output}) => output !== null).sort((a, b) => a.output - b.output);
    if (!points.length) return;
    this.copied = {track, points};
    this.tell(`${points.length} ${track === TIME ? "pins" : "keys"} copied; Ctrl V sets them from the playhead on`);
  }

  delete() {
    const {picks, track, marker} = this.timeline;
    if (marker) {
      this.timeline.pickMarker(null);
      this.model.setMarkers(this.model.markers.filter(([at]) => at !== marker[0]));
    } else if (picks.length) this.model.deletePoints(this.row, track, picks);
    else this.model.toggleRemoved(this.rows);
  }

  // Select the row above or below; with `adds`, beside those that are picked.
  selectBeside(direction, adds) {
    const rows = this.model.rows(), from = adds && this.added.length ? this.reached ?? this.row : this.row;
    const at = rows.findIndex((row) => sameRow(row, from)) + direction;
    this.select(rows[Math.min(Math.max(at, 0), rows.length - 1)], adds ? "until" : "alone");
  }

  selectAll() {
    this.added = this.model.rows().filter((row) => isPerson(row) && !sameRow(row, this.row));
    if (!isPerson(this.row) && this.added.length) this.row = this.added.shift();
    this.soon("panels", () => this.updatePanels());
  }

  // How times are written, remembered by the browser.
  setUnits(kind) {
    this.timeline.units.kind = kind;
    find("#frame").classList.toggle("wide", kind !== "frames");
    try { localStorage.setItem("retime units", kind); } catch { /* it is asked for again */ }
    this.show();
    this.soon("panels", () => this.updatePanels());
  }

  // The row's next number that has keys, after the last one its time.
  showNextTrack() {
    const {model, timeline} = this;
    const tracks = [TIME, ...Object.keys(NUMBERS).filter((key) => model.points(this.row, key).length)];
    timeline.showTrack(tracks[(tracks.indexOf(timeline.track) + 1) % tracks.length]);
  }

  toggleEase() {
    const {model, timeline: {picks, track}} = this;
    const isEased = picks.every(([, , how]) => how === "ease");
    if (picks.length) model.setHandles(this.row, track, picks, isEased ? undefined : "ease");
  }

  // ---- buttons and keys ---------------------------------------------------------------------------------------------

  connect() {
    const {model} = this;
    const actions = {
      undo: () => model.undo(), redo: () => model.redo(), open: () => this.files.openDialog(),
      save: () => this.files.saveDialog(), render: () => this.renderings.dialog(),
      help: () => find("#help-dialog").showModal(), play: () => this.togglePlaying(),
      "to-start": () => this.seek(0), "step-back": () => this.seek(this.output - 1),
      "step-on": () => this.seek(this.output + 1), "to-end": () => this.seek(model.length - 1),
      freeze: () => this.freeze(), event: () => model.toggleEvent(this.row, this.output), align: () => this.align(),
      duplicate: () => this.duplicate(), remove: () => model.toggleRemoved(this.rows),
      stretch: () => this.stretchDialog(), lengthen: () => this.toggleLengthening(), fit: () => model.fitLength(),
      "zoom-in": () => this.timeline.zoom(0.5), "zoom-out": () => this.timeline.zoom(2),
      "see-all": () => this.timeline.seeAll(), tall: () => this.toggleTall(), snap: () => this.toggleSnapping(),
      backward: () => this.moveInOrder(-1), forward: () => this.moveInOrder(1),
      "save-file": () => { find("#save-dialog").close(); this.files.saveToFile(); },
      "open-new": () => this.files.load("{}", "edit"),
    };
    for (const [id, action] of Object.entries(actions)) {
      find(`#${id}`).addEventListener("click", () => action());
    }
    for (const button of document.querySelectorAll("[data-close]"))
      button.addEventListener("click", () => button.closest("dialog").close());
    let units = null;
    try { units = localStorage.getItem("retime units"); } catch { /* frames, then */ }
    if (Object.keys(UNITS).includes(units)) this.setUnits(units);
    const original = find("#original");
    dragged(original, {start: () => this.showOriginal(true), move: () => {}, end: () => this.showOriginal(false)});
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.timeline.draw());
    window.addEventListener("beforeunload", (event) => { if (!this.files.keep()) event.preventDefault(); });
    this.connectKeys(actions);
  }

  connectKeys(actions) {
    const {model, viewer} = this, step = (frames) => ({shiftKey}) => this.seek(this.output + (shiftKey ? 10 : 1) * frames);
    const turn = (list) => ({shiftKey}) => viewer.turn(list, shiftKey ? -1 : 1);
    const keys = {  // name and meaning for the help; without them it stands there with another
      " ": ["Space", "Play, pause", actions.play], ArrowLeft: ["← →", "One frame; ten with Shift", step(-1)],
      ArrowRight: [null, null, step(1)],
      ArrowUp: ["↑ ↓", "Select a row; with Shift several", ({shiftKey}) => this.selectBeside(1, shiftKey)],
      ArrowDown: [null, null, ({shiftKey}) => this.selectBeside(-1, shiftKey)],
      Home: ["Home, End", "To the start, end", actions["to-start"]], End: [null, null, actions["to-end"]],
      f: ["F", "Freeze", actions.freeze], r: ["R", "Slower, faster, insert, leave out", actions.stretch],
      m: ["M", "Mark event; with Shift a marker of the video", ({shiftKey}) =>
        (shiftKey ? model.toggleMarker(this.output) : actions.event())],
      a: ["A", "Align events", actions.align],
      d: ["D", "Duplicate", actions.duplicate],
      Delete: ["Delete", "Take picked pins, keys or a marker away, else the people", () => this.delete()],
      Backspace: [null, null, () => this.delete()], s: ["S", "Solo", () => model.toggleSolo(this.rows)],
      p: ["P", "Pin or key here", () => this.timeline.pick([model.setPoint(this.row, this.timeline.track, this.output,
        model.valueAt(this.row, this.timeline.track, this.output) ?? 0)])],
      c: ["C", "Curve of the next number, of the time", () => this.showNextTrack()],
      e: ["E", "Ease at picked pins and keys, and back", () => this.toggleEase()],
      ",": [", .", "The pin or key before, after; with Shift the marker", () => this.timeline.pickBeside(-1)],
      ".": [null, null, () => this.timeline.pickBeside(1)], ";": [null, null, () => this.timeline.goToMarker(-1)],
      ":": [null, null, () => this.timeline.goToMarker(1)], "<": [null, null, () => this.timeline.goToMarker(-1)],
      ">": [null, null, () => this.timeline.goToMarker(1)],
      u: ["U", "Frames, seconds, timecode", () => {
        const kinds = Object.keys(UNITS);
        this.setUnits(kinds[(kinds.indexOf(this.timeline.units.kind) + 1) % kinds.length]);
      }],
      F2: ["F2", "Name the person", () => find("#inspector .name")?.select()],
      Escape: [null, null, () => { this.timeline.pickMarker(null); this.timeline.pick([]); }],
      "+": ["+ − 0", "Zoom the time in, out, all of it", actions["zoom-in"]], "=": [null, null, actions["zoom-in"]],
      "-": [null, null, actions["zoom-out"]], 0: [null, null, actions["see-all"]],
      t: ["T", "Tall rows", actions.tall], n: ["N", "Snapping on, off", actions.snap],
      "[": ["[ ]", "Backward, forward", actions.backward], "]": [null, null, actions.forward],
      b: ["B (hold)", "Before: as filmed", () => this.showOriginal(true)],
      v: ["V, G", "Picture, matte, layer, background; its ground", turn("view")],
      g: ["1 2 4", "Picture at 100, 200, 400 %; again: all of it", turn("ground")],
      w: ["W", "Wipe: original | edit", () => viewer.toggleWipe()],
      ...Object.fromEntries(ZOOMS.map((zoom) => [zoom, [null, null, () => viewer.toggleZoom(zoom)]])),
      j: ["J K L", "Play backwards, stop, forwards; again: faster", () => this.shuttle(-1)],
      k: [null, null, () => { if (this.playing) this.togglePlaying(); }], l: [null, null, () => this.shuttle(1)],
      i: ["I O", "Render from here, to here", () => this.setRange(0)], o: [null, null, () => this.setRange(1)], "?": ["?", "This help", actions.help],
    };
    const nudge = (outputs, sources) => ({shiftKey}) =>
      this.timeline.nudge((shiftKey ? 10 : 1) * outputs, (shiftKey ? 10 : 1) * sources);
    const withAlt = {
      ArrowLeft: ["Alt ← →", "What is picked a frame earlier, later", nudge(-1, 0)], ArrowRight: [null, null, nudge(1, 0)],
      ArrowUp: ["Alt ↑ ↓", "Pins show a later, an earlier frame; keys more, less", nudge(0, 1)], ArrowDown: [null, null, nudge(0, -1)],
    };
    const withControl = {
      z: ["Ctrl Z", "Undo", (e) => (e.shiftKey ? model.redo() : model.undo())], y: ["Ctrl Y", "Redo", actions.redo],
      s: ["Ctrl S", "Save", actions.save], o: ["Ctrl O", "Open", actions.open],
      c: ["Ctrl C, V", "Copy, paste pins or keys", () => this.copy()], v: [null, null, () => this.paste()],
      a: ["Ctrl A", "Select all people", () => this.selectAll()],
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
