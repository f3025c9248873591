// Frames from left to right: a ruler to go to a frame by, a playhead, and where frames stand on the rows below, whose
// canvases are as wide as the ruler's. Frames count from 0, and from 1 where they are written.
"use strict";

const MARGIN = 10;            // pixels beside the first and the last frame
const RULER_FONT = "11px system-ui, sans-serif";
const LEAST_SEEN = 8;         // frames, however far it is zoomed in
const THUMBNAILS = 14;        // frames of a row that strips are made of
const THUMBNAIL_HEIGHT = 40;

class FrameAxis {
  // `length()` is how many frames there are; `seek(frame)` goes to one.
  constructor(ruler, playhead, length, seek) {
    Object.assign(this, {ruler, playhead, length, frame: 0, seen: null});
    const scrub = (event) => seek(this.frameAt(event.offsetX, ruler));
    dragged(ruler, {start: scrub, move: scrub});
    this.zoomedOn(ruler);
    fingers(playhead.parentElement, ([from], [to], factor) => {  // two of them do both
      if (factor === null) return;
      const [first, last] = this.view;
      this.scroll((from - to) / ruler.clientWidth * (last - first));
      this.zoom(1 / factor, this.place(to - ruler.offsetLeft, ruler));
    }, ({pointerType}) => pointerType === "touch");
  }

  // ---- the part that is seen ----------------------------------------------------------------------------------------

  // From where to where, in frames; all of it until somebody zooms.
  get view() {
    if (this.held) return this.held;
    const last = Math.max(this.length() - 1, 1);
    if (!this.seen) return [0, last];
    const span = Math.min(this.seen[1] - this.seen[0], last), first = Math.min(Math.max(this.seen[0], 0), last - span);
    return [first, first + span];
  }

  set view([first, last]) {
    this.seen = last - first >= this.length() - 1 ? null : [first, last];
    this.draw?.();
    this.movePlayhead(this.frame);
  }

  // While something is dragged the view stays, even where what is dragged makes the video longer.
  holdView(isHeld) { this.held = isHeld ? this.view : null; }

  // See `factor` times as many frames, with the frame `at` staying where it is.
  zoom(factor, at = this.frame) {
    const [first, last] = this.view, span = Math.max((last - first) * factor, LEAST_SEEN);
    const share = at < first || at > last ? 0.5 : (at - first) / (last - first);
    this.view = [at - share * span, at + (1 - share) * span];
  }

  scroll(frames) { this.view = this.view.map((frame) => frame + frames); }

  seeAll() { this.view = [0, this.length()]; }

  // Scroll to a frame that is not seen.
  reveal(frame) {
    const [first, last] = this.view;
    if (frame < first || frame > last) this.scroll(frame - first - 0.1 * (last - first));
  }

  // Ctrl and the wheel (a pinch on a touch pad) zoom on a canvas, the wheel across or with Shift scrolls in time.
  zoomedOn(canvas) {
    canvas.addEventListener("wheel", (event) => {
      const across = event.deltaX || (event.shiftKey ? event.deltaY : 0), [first, last] = this.view;
      if (!event.ctrlKey && !across) return;
      event.preventDefault();
      if (event.ctrlKey) this.zoom(1.002 ** event.deltaY, this.place(event.offsetX, canvas));
      else this.scroll(across / canvas.clientWidth * (last - first));
    }, {passive: false});
  }

  // ---- places -------------------------------------------------------------------------------------------------------

  x(frame, canvas) {
    const [first, last] = this.view;
    return MARGIN + (frame - first) / (last - first) * (canvas.clientWidth - 2 * MARGIN);
  }

  // The time at a place, between frames, too.
  place(x, canvas) {
    const [first, last] = this.view;
    const time = first + (x - MARGIN) / (canvas.clientWidth - 2 * MARGIN) * (last - first);
    return Math.min(Math.max(time, 0), this.length() - 1);
  }

  frameAt(x, canvas) { return Math.round(this.place(x, canvas)); }

  movePlayhead(frame) {
    const [first, last] = this.view;
    this.frame = frame;
    this.playhead.style.transform = `translateX(${this.ruler.offsetLeft + this.x(frame, this.ruler)}px)`;
    this.playhead.hidden = frame < first - 0.5 || frame > last + 0.5;
  }

  // The ruler, with the frames from `first` to `last` marked; `text(frame)` is what is written at a frame from 0, where
  // something else does not lie, from the left to the right in each of `taken`.
  drawRuler(first, last, text = (frame) => `${frame + 1}`, taken = []) {
    const {ruler} = this, context = prepared(ruler), colours = getComputedStyle(ruler), [from, until] = this.view;
    context.fillStyle = colours.getPropertyValue("--accent");
    context.globalAlpha = 0.35;
    const [left, right] = [this.x(first, ruler), this.x(last, ruler)];
    context.fillRect(left, ruler.clientHeight - 3, right - left, 3);
    context.globalAlpha = 1;
    context.fillStyle = colours.getPropertyValue("--quiet");
    context.font = RULER_FONT;
    context.textAlign = "center";
    const widest = Math.max(44, context.measureText(text(this.length() - 1)).width + 16);
    const room = widest / Math.max(ruler.clientWidth - 2 * MARGIN, 1) * (until - from + 1);
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10000].find((size) => size >= room) ?? 50000;
    const write = (frame) => {  // not beyond the ruler's ends
      const half = context.measureText(text(frame)).width / 2 + 1;
      const x = Math.min(Math.max(this.x(frame, ruler), half), ruler.clientWidth - half);
      if (!taken.some(([left, right]) => x + half > left && x - half < right)) context.fillText(text(frame), x, 14);
    };
    for (let frame = Math.max(Math.ceil((from + 1) / step), 1) * step; frame <= until + 1; frame += step)
      write(frame - 1);
    if (step > 1 && from < 1) write(0);
  }
}

// Small pictures of rows, scaled to one height.
class Thumbnails {
  // `load(row, frame)` gives {bitmap}, or null where there is nothing to show, in time, by `loads`; `onLoaded()` is called
  // then. `same(row, frame)` is the frame in which a row looks alike.
  constructor(length, loads, load, onLoaded, same = (row, frame) => frame) {
    Object.assign(this, {loads, load, onLoaded, same, made: new Map()});
    const count = Math.min(THUMBNAILS, length);
    this.frames = Array.from({length: count}, (_, i) => Math.round(i * (length - 1) / Math.max(count - 1, 1)));
  }

  // The one nearest to a time, or null while there is none. Pictures in large come first.
  at(row, time) {
    const frame = this.same(row, this.frames.reduce((a, b) => (Math.abs(b - time) < Math.abs(a - time) ? b : a)));
    const key = `thumbnail ${row} ${frame}`;
    if (!this.made.has(key)) {
      this.loads.ask(key, 2, () => this.load(row, frame), (picture) => {
        this.made.set(key, picture && this.scaled(picture.bitmap));
        this.onLoaded();
      });  // what could not be had is told by whoever shows the whole picture
    }
    return this.made.get(key) ?? null;
  }

  scaled(bitmap) {
    const canvas = document.createElement("canvas"), height = 2 * THUMBNAIL_HEIGHT;
    canvas.height = height;
    canvas.width = Math.max(Math.round(bitmap.width * height / bitmap.height), 1);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return canvas;
  }
}
