// What every page has: elements, canvases, the pointer, and the server that the page came from (web/server.py).
"use strict";

const find = (selector) => document.querySelector(selector);

// The JSON that stands in the page under an id.
const dataOf = (id) => JSON.parse(document.getElementById(id).textContent);

// An element with properties and children.
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// A canvas cleared, in CSS pixels.
function prepared(canvas) {
  const scale = window.devicePixelRatio, context = canvas.getContext("2d");
  const sides = [canvas.clientWidth, canvas.clientHeight];
  const [width, height] = sides.map((side) => Math.max(Math.round(side * scale), 1));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// A picture as large as fits into a box, or covering it.
function drawInside(context, picture, x, y, width, height, covers) {
  const scale = (covers ? Math.max : Math.min)(width / picture.width, height / picture.height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.drawImage(picture, x + (width - w) / 2, y + (height - h) / 2, w, h);
  context.restore();
}

// Fields that somebody is typing into: what stands there is not taken over yet.
const typedInto = new WeakSet();
document.addEventListener("input", ({target}) => typedInto.add(target), true);
for (const name of ["change", "focusout"])
  document.addEventListener(name, ({target}) => typedInto.delete(target), true);
const isTypedInto = (input) => document.activeElement === input && typedInto.has(input);

const TEXT_FIELDS = "input:not([type=range], [type=checkbox], [type=color], [type=file]), select, textarea";

// Whether the control that has the focus takes a key for itself. One that was only clicked does not: else the space bar
// would press it again, where it plays.
function takesKey(target, key) {
  if (target.matches(TEXT_FIELDS)) return true;
  if (!target.matches(":focus-visible")) return false;
  if (target.matches("input[type=range], [role=slider]")) return /^(Arrow|Home|End|Page)/.test(key);
  return target.matches("button, input, a, summary") && [" ", "Enter"].includes(key);
}

// How a timecode counts at a rate: so many frames per second, and numbers left out each minute but every tenth
// (SMPTE 12M: 29.97 and 59.94 frames per second, so that hours are those of the clock).
function timecodeCounts(rate) {
  const perSecond = Math.max(Math.round(rate), 1);
  return [perSecond, perSecond % 30 === 0 && Math.abs(rate * 1.001 - perSecond) < 1e-3 ? perSecond / 15 : 0];
}

// The timecode HH:MM:SS:FF of a frame from 0; a semicolon before the frames says that numbers are left out.
function timecode(frame, rate) {
  const [perSecond, left] = timecodeCounts(rate), tenMinutes = 600 * perSecond - 9 * left, rest = frame % tenMinutes;
  const number = frame + 9 * left * Math.floor(frame / tenMinutes)
    + (rest > left ? left * Math.floor((rest - left) / (60 * perSecond - left)) : 0);
  const two = (value) => `${Math.floor(value)}`.padStart(2, "0"), seconds = Math.floor(number / perSecond);
  return `${two(seconds / 3600)}:${two(seconds / 60 % 60)}:${two(seconds % 60)}${left ? ";" : ":"}${two(number % perSecond)}`;
}

// The frame of a timecode's parts.
function frameOfTimecode([hours, minutes, seconds, frames], rate) {
  const [perSecond, left] = timecodeCounts(rate), all = 60 * hours + minutes;
  return (60 * all + seconds) * perSecond + frames - left * (all - Math.floor(all / 10));
}

// How frames are written, from 0: their number, seconds, or timecodes.
class TimeUnits {
  constructor(rate) { Object.assign(this, {rate, kind: "frames"}); }

  text(frame) {
    return {frames: () => `${frame + 1}`, seconds: () => `${(frame / this.rate).toFixed(2)} s`,
            timecode: () => timecode(frame, this.rate)}[this.kind]();
  }
}

// A number as people write it: 0.5, 50%, and in fields of frames 0:01.5, 1.5 s or the timecode 00:00:01:12 of `rate`
// frames per second. NaN for everything else. The first frame is number `first`.
function numberFrom(text, {rate = null, first = 0} = {}) {
  const parts = text.trim().match(/^(\d+):(\d+):(\d+)[:;](\d+)$/) ?? text.trim().match(/^()(\d+):(\d+);(\d+)$/);
  if (parts) return rate === null ? NaN : frameOfTimecode(parts.slice(1).map(Number), rate) + first;
  const [whole, sign, hours, minutes, seconds, unit] = text.trim().replace(",", ".")
    .match(/^(-?)(?:(?:(\d+):)?(\d+):)?(\d*\.?\d+|\d+\.)\s*(%|s)?$/) ?? [];
  if (whole === undefined) return NaN;
  const isTime = minutes !== undefined || unit === "s";
  if (isTime && (rate === null || unit === "%")) return NaN;
  const value = 3600 * Number(hours ?? 0) + 60 * Number(minutes ?? 0) + Number(seconds);
  return Number(`${sign}1`) * (isTime ? Math.round(value * rate) + first : unit === "%" ? value / 100 : value);
}

// A field for such a number; `read()` is what stands there, `write(number)` takes what was typed, within limits. Up and
// down change it by a step.
function numberField({read, write, min = -Infinity, max = Infinity, step = 1, units = () => ({})}) {
  const input = element("input", {type: "text", inputMode: "decimal", className: "figure", autocomplete: "off"});
  Object.assign(input.dataset, {min, max});
  const show = () => {
    if (isTypedInto(input)) return;
    input.value = read();
    input.classList.remove("wrong");
  };
  const take = (value) => {
    const limited = Math.min(Math.max(value, min), max);
    input.classList.toggle("wrong", !Number.isFinite(value));
    input.title = Number.isFinite(value) ? "" : "Expected a number, such as 0.5, 50% or 0:01.5";
    if (Number.isFinite(value)) write(Number.isInteger(step) ? Math.round(limited) : limited);
  };
  input.addEventListener("change", () => {
    take(numberFrom(input.value, units()));
    if (!input.classList.contains("wrong")) show();
  });
  input.addEventListener("keydown", (event) => {
    const by = {ArrowUp: 1, ArrowDown: -1}[event.key];
    if (!by || event.altKey) return;
    event.preventDefault();
    const value = numberFrom(input.value, units());
    if (!Number.isFinite(value)) return;
    typedInto.delete(input);
    take(Math.round(1e6 * (value + by * (event.shiftKey ? 10 : 1) * step)) / 1e6);
    show();
  });
  return Object.assign(input, {show});
}

// Follow the pointer from pressing to letting go; Escape, or a second finger, ends it by `cancel`.
function dragged(target, {start, move, end, cancel = end}) {
  let from = null, held = null;
  const finish = (how) => {
    if (!from) return;
    from = null;
    held.abort();
    how?.();
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    finish(cancel);
    target.setPointerCapture(event.pointerId);
    from = [event.clientX, event.clientY];
    held = new AbortController();
    const whileHeld = {capture: true, signal: held.signal};
    for (const [name, isFirst, how] of [["pointerdown", false, cancel], ["pointerup", true, end],
                                        ["pointercancel", true, cancel]])  // the target may be gone by then
      window.addEventListener(name, ({isPrimary}) => { if (isPrimary === isFirst) finish(how); }, whileHeld);
    window.addEventListener("keydown", (pressed) => {
      if (pressed.key !== "Escape") return;
      pressed.stopPropagation();
      finish(cancel);
    }, whileHeld);
    start(event);
  });
  target.addEventListener("pointermove", (event) => {
    if (from && event.isPrimary) move(event, event.clientX - from[0], event.clientY - from[1]);
  });
}

// Where a pointer is in something, in CSS pixels.
function placeIn(target, {clientX, clientY}) {
  const {x, y} = target.getBoundingClientRect();
  return [clientX - x, clientY - y];
}

// Follow one or two pointers, such as fingers, on something: `move(from, to, factor)` is told where their middle was and
// is, in CSS pixels of the target, and how much further apart they are; null: it is one pointer. `takes(event)` tells
// whether a press is meant.
function fingers(target, move, takes = () => true) {
  const pointers = new Map();
  const middle = () => [0, 1].map((i) => [...pointers.values()].reduce((sum, at) => sum + at[i], 0) / pointers.size);
  const apart = () => {
    const [[x, y], [otherX, otherY]] = pointers.values();
    return Math.max(Math.hypot(otherX - x, otherY - y), 1);
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.isPrimary) pointers.clear();
    if (event.button > 1 || pointers.size === 2 || !takes(event)) return;
    event.target.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, placeIn(target, event));
  });
  target.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const isPair = pointers.size === 2, from = middle(), before = isPair ? apart() : null;
    pointers.set(event.pointerId, placeIn(target, event));
    move(from, middle(), isPair ? apart() / before : null);
  });
  for (const name of ["pointerup", "pointercancel"])
    target.addEventListener(name, ({pointerId}) => pointers.delete(pointerId));
}

// Loads things, each once, a few at a time: first what is looked at (rank 0), then what soon will be (1), then the rest
// (2). Nothing begins while something of a lower rank is under way.
class Loads {
  // `atOnce` of each rank.
  constructor(atOnce) { Object.assign(this, {atOnce, asked: new Map(), failed: new Set()}); }

  // Ask for what `load()` gives in time, under a key; `take(value)` or `refuse(error)` is called then. What is asked for
  // already, or failed, is not begun again, but has the lowest rank that anybody asked for.
  ask(key, rank, load, take, refuse = () => {}) {
    const found = this.asked.get(key);
    if (found) found.rank = Math.min(found.rank, rank);
    else if (!this.failed.has(key)) this.asked.set(key, {rank, load, take, refuse, isUnderWay: false});
    this.begin();
  }

  get waiting() { return [...this.asked.values()].filter(({isUnderWay}) => !isUnderWay); }

  // Leave aside what has not begun, of these ranks.
  forget(...ranks) {
    for (const [key, {rank, isUnderWay}] of this.asked) if (!isUnderWay && ranks.includes(rank)) this.asked.delete(key);
  }

  // What could not be had may be had now.
  retry() { this.failed.clear(); }

  begin() {
    const all = [...this.asked], rank = Math.min(...all.map(([, one]) => one.rank));
    const next = all.find(([, one]) => one.rank === rank && !one.isUnderWay);
    const underWay = all.filter(([, one]) => one.isUnderWay).length;
    if (!next || underWay >= this.atOnce[rank]) return;
    next[1].isUnderWay = true;
    this.finish(...next);
    this.begin();
  }

  async finish(key, {load, take, refuse}) {
    let value, error = null;
    try {
      value = await load();
    } catch (found) {
      error = found;
      this.failed.add(key);
    }
    this.asked.delete(key);
    if (error) refuse(error);
    else take(value);
    this.begin();
  }
}

const bitmapOf = (blob) => createImageBitmap(blob, {premultiplyAlpha: "premultiply", colorSpaceConversion: "none"});

class LocalServer {
  // `silent` is what to say where the server does not answer; `tokenOf(data)` finds the token in the data of a page, or
  // null where that is a page of something else.
  constructor(token, silent, tokenOf = () => null) {
    Object.assign(this, {headers: {"X-Token": token}, silent, tokenOf});
  }

  // Answers in JSON are values; mistakes are errors whose message says what is wrong.
  async ask(path, body, isFirst = true) {
    const options = body === undefined ? {}
      : {method: "POST", body: body instanceof Blob ? body : JSON.stringify(body)};
    let answer;
    try {
      answer = await fetch(path, {...options, headers: this.headers});
    } catch {
      throw new Error(this.silent);
    }
    if (answer.status === 403 && isFirst && await this.joinAgain()) return this.ask(path, body, false);
    if (!answer.headers.get("Content-Type")?.startsWith("application/json")) return answer;
    const value = await answer.json();
    if (value.error) throw new Error(value.error);
    return value;
  }

  // A server that was started anew has a new token, which its page knows; tells whether it is the same otherwise.
  async joinAgain() {
    const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
    const data = page.getElementById("data"), token = data && this.tokenOf(JSON.parse(data.textContent));
    if (token) this.headers = {"X-Token": token};
    return Boolean(token);
  }

  // {bitmap, x, y}, or null where there is nothing to show.
  async placedPicture(path) {
    const answer = await this.ask(path);
    if (answer.status === 204) return null;
    const [x, y] = answer.headers.get("X-Place").split(" ").map(Number);
    return {bitmap: await bitmapOf(await answer.blob()), x, y};
  }
}
