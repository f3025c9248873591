// Frames from left to right: a ruler to go to a frame by, a playhead, and where frames stand on the rows below, whose
// canvases are as wide as the ruler's. Frames count from 0, and from 1 where they are written.
"use strict";

const MARGIN = 10;            // pixels beside the first and the last frame
const THUMBNAILS = 14;        // frames of a row that strips are made of
const THUMBNAIL_HEIGHT = 40;

class FrameAxis {
  // `length()` is how many frames there are; `seek(frame)` goes to one.
  constructor(ruler, playhead, length, seek) {
    Object.assign(this, {ruler, playhead, length, frame: 0});
    const scrub = (event) => seek(this.frameAt(event.offsetX, ruler));
    dragged(ruler, {start: scrub, move: scrub});
  }

  x(frame, canvas) { return MARGIN + frame / Math.max(this.length() - 1, 1) * (canvas.clientWidth - 2 * MARGIN); }

  // The time at a place, between frames, too.
  place(x, canvas) {
    const last = this.length() - 1;
    return Math.min(Math.max((x - MARGIN) / (canvas.clientWidth - 2 * MARGIN) * last, 0), last);
  }

  frameAt(x, canvas) { return Math.round(this.place(x, canvas)); }

  movePlayhead(frame) {
    this.frame = frame;
    this.playhead.style.transform = `translateX(${this.ruler.offsetLeft + this.x(frame, this.ruler)}px)`;
  }

  // The ruler, with the frames from `first` to `last` marked.
  drawRuler(first, last) {
    const {ruler} = this, context = prepared(ruler), length = this.length(), colours = getComputedStyle(ruler);
    context.fillStyle = colours.getPropertyValue("--accent");
    context.globalAlpha = 0.35;
    const [left, right] = [this.x(first, ruler), this.x(last, ruler)];
    context.fillRect(left, ruler.clientHeight - 3, right - left, 3);
    context.globalAlpha = 1;
    context.fillStyle = colours.getPropertyValue("--quiet");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    const room = 44 / Math.max(ruler.clientWidth - 2 * MARGIN, 1) * length;
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10000].find((size) => size >= room) ?? 50000;
    for (let frame = step; frame <= length; frame += step)
      context.fillText(frame, this.x(frame - 1, ruler), 14);
    if (step > 1) context.fillText(1, this.x(0, ruler), 14);
  }
}

// Small pictures of rows, scaled to one height.
class Thumbnails {
  // `load(row, frame)` gives {bitmap}, or null where there is nothing to show, in time; `onLoaded()` is called then.
  constructor(length, load, onLoaded) {
    Object.assign(this, {load, onLoaded, made: new Map()});
    const count = Math.min(THUMBNAILS, length);
    this.frames = Array.from({length: count}, (_, i) => Math.round(i * (length - 1) / Math.max(count - 1, 1)));
  }

  // The one nearest to a time, or null while there is none.
  at(row, time) {
    const frame = this.frames.reduce((a, b) => (Math.abs(b - time) < Math.abs(a - time) ? b : a));
    const key = `${row} ${frame}`;
    if (!this.made.has(key)) {
      this.made.set(key, null);
      this.load(row, frame).then((picture) => {
        if (!picture) return;
        this.made.set(key, this.scaled(picture.bitmap));
        this.onLoaded();
      }).catch(() => {});  // whoever shows the whole picture tells
    }
    return this.made.get(key);
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
