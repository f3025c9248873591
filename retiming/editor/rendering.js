// The dialog that renders, what is seen of a rendering while one goes on working, and what was made.
"use strict";

class Renderings {
  // `selected()` is the row that may be rendered alone; `tell(text, kind)` says what went wrong where the dialog is not
  // open.
  constructor(clip, source, model, {selected, tell}) {
    Object.assign(this, {clip, source, model, selected, tell, latest: null});
    find("#render").hidden = !source.renders;
    for (const [id, action] of Object.entries({
      "render-cancel": () => source.cancel(), "render-play": () => this.play(), "rendering-text": () => this.dialog(),
      "rendering-play": () => this.play(), "rendering-close": () => { find("#rendering").hidden = true; }}))
      find(`#${id}`).addEventListener("click", action);
    find("#render-format").addEventListener("change", () => this.check());
    find("#render-what").addEventListener("change", () => {
      this.showFormats();
      this.check();
    });
    find("#render-dialog form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    this.showFormats();
    if (source.renders) this.follow();
  }

  dialog() {
    const row = this.selected(), one = find("#render-what [value=layer]");
    one.textContent = `${this.model.title({...row, index: 0}).split("\n")[0]} alone`;
    one.disabled = row.layer === OTHERS;
    if (one.disabled && one.selected) find("#render-what").value = "video";
    find("#render-dialog").showModal();
    this.check();
    this.follow();
  }

  // Say before it is tried that an edit cannot be written in a format.
  check() {
    const format = find("#render-format").value, {replace} = this.model.values.background ?? {};
    const isAlone = this.what === "layer" && this.layer > 0;
    Files.checkName(find("#render-name"));
    const isTransparent = isAlone || (this.what === "video" && replace === "transparent");
    const isLost = isTransparent && LIMITS.without_alpha.includes(format);
    if (isLost) {
      find("#render-hint").textContent = `${format.toUpperCase()} has no transparency, and `
        + (isAlone ? "people alone have no background: choose another format"
          : "this edit no background: choose another format, or give it a background");
    }
    find("#render-start").disabled = isLost || this.latest?.state === "running";
  }

  get what() { return find("#render-what").value; }
  get isOfLayers() { return this.what === "layers"; }

  // The number of the layer that is rendered alone.
  get layer() { return this.selected().layer === BACKGROUND ? 0 : this.selected().layer; }

  showFormats() {
    const formats = this.isOfLayers ? LIMITS.layer_formats : LIMITS.formats;
    find("#render-format").replaceChildren(...Object.entries(formats).map(([value, textContent]) =>
      element("option", {value, textContent})));
    find("#render-apart").hidden = !this.isOfLayers;
  }

  async start() {
    const {model: {values}, source} = this, name = find("#render-name").value, format = find("#render-format").value;
    find("#render-state").textContent = "";
    try {
      const begun = await (this.isOfLayers
        ? source.renderLayers(name, values, format, find("#render-apart input").checked)
        : source.render(`${name}.${format}`, values, this.what === "layer" ? this.layer : null));
      if (begun) this.latest = {...begun, state: "running"};  // its end is told even if it is there already
      this.follow();
    } catch (error) {
      find("#render-state").textContent = error.message;
    }
  }

  // Show how far the rendering is, in its dialog and, while that is closed, at the top; there is a word at its end, too.
  async follow() {
    clearTimeout(this.timer);
    const before = this.latest?.state;
    try {
      this.latest = await this.source.progress();
    } catch (error) {
      find("#render-state").textContent = error.message;
      return;
    }
    const {state, done, total, file, failure, warnings} = this.latest, running = state === "running";
    const name = file?.replace(/[\\/]%04d\.\w+$/, "").split(/[\\/]/).at(-1);
    const isVideo = state === "done" && /\.(mp4|webm|mov|gif)$/.test(name);
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
    this.check();
    if (running) this.timer = setTimeout(() => this.follow(), 200);
  }

  // Play what was rendered last, or give it to be kept where browsers cannot play it.
  async play() {
    const {file} = this.latest, name = file.split(/[\\/]/).at(-1), dialog = find("#result-dialog");
    try {
      const url = URL.createObjectURL(await this.source.rendered());
      const result = name.endsWith(".gif") ? element("img", {src: url, alt: name})
        : name.endsWith(".mov") ? element("p", {textContent: `Browsers do not play ProRes: save a copy, or open ${file}`})
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
}
