// How the picture is looked at: what of it and on what ground, how large, beside the original, and the pixel under the
// pointer. Places are in pixels of the picture.
"use strict";

const VIEWS = {  // name: [title, whether it is of the selected row alone, whether alpha is shown]
  picture: ["Picture", false, false], matte: ["Matte of all", false, true], layer: ["This layer", true, false],
  "layer-matte": ["Its matte", true, true], background: ["Background", false, false],
};
const GROUNDS = {squares: "On squares", black: "On black", white: "On white", colour: "On a colour"};
const ZOOMS = [1, 2, 4];       // of the list and of the keys
const LARGEST_ZOOM = 32;
const PAN = 60;                // CSS pixels by a key

class Viewer {
  // `show()` draws anew; `colourAt(x, y)` gives the straight RGBA of a pixel, or null while there is none.
  constructor(size, {show, colourAt}) {
    Object.assign(this, {size, show, colourAt, what: "picture", ground: "squares", zoom: null, wipe: null,
                         centre: size.map((side) => side / 2), hovered: null});
    [this.box, this.screen, this.handle] = ["#viewer", "#screen", "#wipe-handle"].map(find);
    find("#view").append(...Object.entries(VIEWS).map(([value, [textContent]]) => element("option", {value, textContent})));
    find("#ground").append(...Object.entries(GROUNDS).map(([value, textContent]) =>
      element("option", {value, textContent})));
    find("#zoom").append(element("option", {value: "fit", textContent: "Fit"}),
                         ...ZOOMS.map((value) => element("option", {value, textContent: `${100 * value} %`})),
                         element("option", {value: "other", hidden: true}));
    for (const id of ["#view", "#ground", "#zoom"]) {  // keys are the page's again where a list was only clicked
      find(id).addEventListener("change", ({target}) => { if (!target.matches(":focus-visible")) target.blur(); });
    }
    find("#view").addEventListener("change", ({target}) => this.look(target.value));
    find("#ground").addEventListener("change", ({target}) => this.stand(target.value));
    find("#ground-colour").addEventListener("input", () => this.stand("colour"));
    find("#zoom").addEventListener("change", ({target}) => this.zoomTo(Number(target.value) || null));
    find("#wipe").addEventListener("click", () => this.toggleWipe());
    this.connectPointer();
    this.connectWipe();
    new ResizeObserver(() => this.place()).observe(this.box);
    this.stand("squares");
  }

  // ---- what is shown ------------------------------------------------------------------------------------------------

  // What of an edit is drawn, where a row is selected, as WebGLCompositor.draw takes it.
  view({layer}) {
    const [, isOfRow, matte] = VIEWS[this.what], isBackground = this.what === "background" || layer === BACKGROUND;
    if (this.what === "background" || (isOfRow && isBackground)) return {layer: 0, matte: false};
    return {layer: isOfRow ? layer : null, matte};
  }

  look(what) {
    this.what = find("#view").value = what;
    this.show();
  }

  stand(ground) {
    this.ground = find("#ground").value = ground;
    this.screen.dataset.ground = ground;
    find("#ground-colour").hidden = ground !== "colour";
    this.screen.style.setProperty("--ground-colour", find("#ground-colour").value);
  }

  // The next (1) or the former (-1) of a list.
  turn(list, direction) {
    const names = Object.keys({view: VIEWS, ground: GROUNDS}[list]), now = {view: this.what, ground: this.ground}[list];
    const next = names[(names.indexOf(now) + direction + names.length) % names.length];
    if (list === "view") this.look(next);
    else this.stand(next);
  }

  // Another picture is shown; where it lets the ground through, that can be chosen.
  update(isTransparent) {
    find("#ground-box").hidden = !isTransparent;
    this.readPixel();
  }

  // ---- how large ----------------------------------------------------------------------------------------------------

  // CSS pixels of a pixel, where all of the picture is seen.
  get fit() { return Math.min(this.box.clientWidth / this.size[0], this.box.clientHeight / this.size[1]); }

  get scale() { return this.zoom === null ? this.fit : this.zoom / window.devicePixelRatio; }

  // The place in the window of the picture's corner.
  get corner() {
    return [this.box.clientWidth, this.box.clientHeight].map((side, i) => {
      const shown = this.size[i] * this.scale;
      const corner = shown <= side ? (side - shown) / 2
        : Math.min(Math.max(side / 2 - this.centre[i] * this.scale, side - shown), 0);
      return Math.round(corner * window.devicePixelRatio) / window.devicePixelRatio;
    });
  }

  place() {
    const {scale, corner, box, screen} = this;
    if (!box.clientWidth) return;
    // What lies outside is not kept, so that the next move begins at once.
    this.centre = [box.clientWidth, box.clientHeight].map((side, i) => (side / 2 - corner[i]) / scale);
    const [left, top, width, height] = [...corner, ...this.size.map((side) => side * scale)];
    for (const [key, value] of Object.entries({left, top, width, height})) screen.style[key] = `${value}px`;
    screen.classList.toggle("pixels", this.zoom !== null && this.zoom > 1);
    box.classList.toggle("movable", this.size.some((side, i) => side * scale > [box.clientWidth, box.clientHeight][i] + 1));
    const list = find("#zoom"), other = list.querySelector("[value=other]");
    other.textContent = `${Math.round(100 * this.scale * window.devicePixelRatio)} %`;
    list.value = this.zoom === null ? "fit" : ZOOMS.includes(this.zoom) ? this.zoom : "other";
    this.placeWipe();
    this.readPixel();
  }

  // Device pixels for a pixel, null: all of it is seen. What is at `at` ([x, y] in the window) stays there.
  zoomTo(zoom, at = null) {
    const {box} = this, around = at ?? this.hovered ?? [box.clientWidth / 2, box.clientHeight / 2];
    const fixed = this.pixelAt(around);
    this.zoom = zoom && Math.min(zoom, LARGEST_ZOOM);
    if (this.zoom !== null && this.scale < Math.min(this.fit, 1 / window.devicePixelRatio)) this.zoom = null;
    this.centre = fixed.map((pixel, i) => pixel + ([box.clientWidth, box.clientHeight][i] / 2 - around[i]) / this.scale);
    this.place();
  }

  zoomBy(factor, at) { this.zoomTo(this.scale * window.devicePixelRatio * factor, at); }

  // By a key: that size, or where it has it, all of the picture.
  toggleZoom(zoom) { this.zoomTo(this.zoom === zoom ? null : zoom); }

  pan(dx, dy) {
    this.centre = [this.centre[0] - dx / this.scale, this.centre[1] - dy / this.scale];
    this.place();
  }

  pixelAt(at) {
    const {corner, scale} = this;
    return at.map((value, i) => (value - corner[i]) / scale);
  }

  connectPointer() {
    const {box} = this;
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(1.002 ** -event.deltaY, placeIn(box, event));
    }, {passive: false});
    fingers(box, (from, to, factor) => {
      this.pan(to[0] - from[0], to[1] - from[1]);
      if (factor !== null) this.zoomBy(factor, to);
    }, ({target}) => !target.closest("#wipe-handle, #ground-box"));
    box.addEventListener("pointermove", (event) => {
      this.hovered = placeIn(box, event);
      this.readPixel();
    });
    box.addEventListener("pointerleave", () => {
      this.hovered = null;
      this.readPixel();
    });
    box.addEventListener("dblclick", (event) => {
      if (event.target !== this.handle) this.zoomTo(this.zoom === null ? (this.fit < 0.9 ? 1 : 2) : null, placeIn(box, event));
    });
  }

  // The pixel under the pointer, in words.
  readPixel() {
    const [x, y] = this.hovered ? this.pixelAt(this.hovered).map(Math.floor) : [-1, -1], box = find("#pixel");
    const isInside = x >= 0 && y >= 0 && x < this.size[0] && y < this.size[1];
    const colour = isInside ? this.colourAt(x, y) : null;
    box.hidden = !colour;
    if (!colour) return;
    const [r, g, b, a] = colour;
    box.textContent = `${x}, ${y} · RGB ${r} ${g} ${b} · A ${a}`;
    find("#pixel").style.setProperty("--colour", `rgb(${r} ${g} ${b} / ${a / 255})`);
  }

  // ---- beside the original ------------------------------------------------------------------------------------------

  // The column at which the original ends and the edit begins; null: there is only the edit.
  get wipeColumn() { return this.wipe === null ? null : Math.round(this.wipe * this.size[0]); }

  // On and off; it begins in the middle of what is seen.
  toggleWipe() {
    const share = this.pixelAt([this.box.clientWidth / 2, 0])[0] / this.size[0];
    this.wipe = this.wipe === null ? share : null;
    find("#wipe").setAttribute("aria-pressed", this.wipe !== null);
    this.moveWipe(this.wipe);
  }

  moveWipe(share) {
    this.wipe = share === null ? null : Math.min(Math.max(share, 0), 1);
    this.placeWipe();
    this.show();
  }

  placeWipe() {
    const {handle, wipe} = this;
    handle.hidden = wipe === null;
    if (wipe === null) return;
    handle.style.left = `${100 * wipe}%`;
    handle.setAttribute("aria-valuenow", Math.round(100 * wipe));
  }

  connectWipe() {
    const {handle} = this;
    let from = 0;
    dragged(handle, {start: () => { from = this.wipe; },
                     move: (event, dx) => this.moveWipe(from + dx / this.scale / this.size[0]), end: () => {},
                     cancel: () => this.moveWipe(from)});
    handle.addEventListener("keydown", (event) => {
      const step = (event.shiftKey ? 10 : 1) / 100;
      const to = {ArrowLeft: this.wipe - step, ArrowRight: this.wipe + step, Home: 0, End: 1}[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.moveWipe(to);
    });
  }
}
