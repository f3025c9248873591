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

// Follow the pointer from pressing to letting go.
function dragged(target, {start, move, end}) {
  let from = null;
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    target.setPointerCapture(event.pointerId);
    from = [event.clientX, event.clientY];
    start(event);
  });
  target.addEventListener("pointermove", (event) => {
    if (from) move(event, event.clientX - from[0], event.clientY - from[1]);
  });
  for (const name of ["pointerup", "pointercancel"])
    target.addEventListener(name, () => { if (from) { from = null; end?.(); } });
}

const bitmapOf = (blob) => createImageBitmap(blob, {premultiplyAlpha: "premultiply", colorSpaceConversion: "none"});

class LocalServer {
  // `silent` is what to say where the server does not answer.
  constructor(token, silent) { Object.assign(this, {headers: {"X-Token": token}, silent}); }

  // Answers in JSON are values; mistakes are errors whose message says what is wrong.
  async ask(path, body) {
    const options = body === undefined ? {} : {method: "POST", body: JSON.stringify(body)};
    let answer;
    try {
      answer = await fetch(path, {...options, headers: this.headers});
    } catch {
      throw new Error(this.silent);
    }
    if (!answer.headers.get("Content-Type")?.startsWith("application/json")) return answer;
    const value = await answer.json();
    if (value.error) throw new Error(value.error);
    return value;
  }

  // {bitmap, x, y}, or null where there is nothing to show.
  async placedPicture(path) {
    const answer = await this.ask(path);
    if (answer.status === 204) return null;
    const [x, y] = answer.headers.get("X-Place").split(" ").map(Number);
    return {bitmap: await bitmapOf(await answer.blob()), x, y};
  }
}
