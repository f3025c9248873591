// The page on which people and masks are corrected: rows over time, the picture, the brush. Frames count from 0.
"use strict";

const {name: clipName, token, length, size, rate, bones, colours, then} = dataOf("data");
const server = new LocalServer(token, "The program does not answer; it may have been ended. Start it again.");
const [WIDTH, HEIGHT] = size;
const SURE = 0.3;             // score from which a joint is drawn
const KEPT_PICTURES = 40;     // frames that are kept as bitmaps
const AT_ONCE = [4, 2, 2];    // of what is asked for, by rank (see Loads)

let state = dataOf("data").state;
let frame = 0, selected = null, joining = false, painting = false, erasing = false, playing = null, pointer = null;
let stroke = null, busy = false, changes = 0;
const kept = new Map();       // what frames show, by address
const loads = new Loads(AT_ONCE);

const colourOf = (row) => row.leftOut ? "#8d96a1" : colours[(row.number - 1) % colours.length];
const keyOf = (row) => `${row.leftOut ? "out" : "in"} ${row.number}`;
const rows = () => [...state.people, ...state.leftOut.map((row) => ({...row, leftOut: true}))];
const chosen = () => rows().find((row) => keyOf(row) === selected) ?? null;
const titleOf = (row) => row.name || (row.leftOut ? `${row.number}: ${row.why}` : `Person ${row.number}`);

// What goes on is told in the line at the bottom.
function tell(text, isError = false) {
  find("#message").textContent = text;
  find("#message").classList.toggle("error", isError);
}

// Something of a frame, loaded once and kept for a while; `null` while it is on its way: what comes draws anew.
function loaded(address, load, rank = 0) {
  const asked = changes;
  if (!kept.has(address)) {
    loads.ask(`${asked} ${address}`, rank, load, (value) => {
      if (kept.size > KEPT_PICTURES * (2 + state.people.length)) kept.delete(kept.keys().next().value);
      if (asked === changes) kept.set(address, {value});
      draw();
    }, (error) => tell(error.message, true));
  }
  return kept.get(address)?.value ?? null;
}
const pictureOf = (index, rank) => loaded(`picture/${index}`, () => server.placedPicture(`picture/${index}`), rank);
const posesOf = (index) => loaded(`poses/${index}`, () => server.ask(`poses/${index}`));
const maskOf = (number, index) =>
  loaded(`mask/${number}/${index}`, async () => tinted(await server.placedPicture(`mask/${number}/${index}`),
                                                       colours[(number - 1) % colours.length]));

// A grey mask as a coloured one with alpha.
function tinted(mask, colour) {
  if (!mask) return {};
  const canvas = element("canvas", {width: mask.bitmap.width, height: mask.bitmap.height});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(mask.bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const [red, green, blue] = [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
  for (let i = 0; i < pixels.data.length; i += 4)
    pixels.data.set([red, green, blue, pixels.data[i]], i);
  context.putImageData(pixels, 0, 0);
  mask.bitmap.close();
  return {canvas, x: mask.x, y: mask.y};
}

// The picture.
const screen = find("#picture");
screen.style.setProperty("--aspect", WIDTH / HEIGHT);
find("#viewer").style.setProperty("--aspect", WIDTH / HEIGHT);

function draw() {
  const context = prepared(screen), scale = screen.clientWidth / WIDTH;
  context.scale(scale, scale);
  const picture = pictureOf(frame);
  if (picture) context.drawImage(picture.bitmap, 0, 0);
  const row = chosen();
  if (find("#show-masks").checked)
    for (const person of state.people) {
      const mask = person.hasMasks ? maskOf(person.number, frame) : null;
      context.globalAlpha = row && !row.leftOut && row.number === person.number ? 0.6 : 0.3;
      if (mask?.canvas && (!painting || row?.number === person.number)) context.drawImage(mask.canvas, mask.x, mask.y);
    }
  context.globalAlpha = 1;
  if (find("#show-poses").checked && !painting) drawPoses(context, scale);
  if (stroke || (painting && pointer)) drawBrush(context);
  axis.movePlayhead(frame);
}

function drawPoses(context, scale) {
  const poses = posesOf(frame);
  if (!poses) return;
  for (const row of rows()) {
    const joints = poses[row.leftOut ? "leftOut" : "people"][row.number];
    if (!joints || (row.leftOut && keyOf(row) !== selected)) continue;
    context.strokeStyle = context.fillStyle = colourOf(row);
    context.lineWidth = (keyOf(row) === selected ? 3.5 : 1.75) / scale;
    context.beginPath();
    for (const [a, b] of bones)
      if (joints[a][2] > SURE && joints[b][2] > SURE) {
        context.moveTo(joints[a][0], joints[a][1]);
        context.lineTo(joints[b][0], joints[b][1]);
      }
    context.stroke();
    const top = joints.reduce((best, joint) => (joint[1] < best[1] ? joint : best));
    context.font = `600 ${12 / scale}px system-ui, sans-serif`;
    const width = context.measureText(titleOf(row)).width + 8 / scale;
    context.fillRect(top[0] - width / 2, top[1] - 24 / scale, width, 17 / scale);
    context.fillStyle = "#fff";
    context.fillText(titleOf(row), top[0] - width / 2 + 4 / scale, top[1] - 11 / scale);
  }
}

function drawBrush(context) {
  const radius = Number(find("#radius").value);
  context.strokeStyle = context.fillStyle = erasing ? "#ef7d6c" : "#fff";
  context.lineCap = context.lineJoin = "round";
  if (stroke) {
    context.globalAlpha = 0.55;
    context.lineWidth = 2 * radius;
    context.beginPath();
    context.moveTo(...stroke[0]);
    for (const point of stroke) context.lineTo(...point);
    if (stroke.length === 1) context.lineTo(stroke[0][0] + 0.01, stroke[0][1]);
    context.stroke();
    context.globalAlpha = 1;
  }
  if (!pointer) return;
  context.lineWidth = 1.5 * WIDTH / screen.clientWidth;
  context.beginPath();
  context.arc(...pointer, radius, 0, 2 * Math.PI);
  context.stroke();
}

const placeOf = (event) => {
  const box = screen.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * WIDTH, (event.clientY - box.top) / box.height * HEIGHT]
    .map((number) => Math.round(10 * number) / 10);
};

dragged(screen, {
  start(event) {
    if (!painting) return selectAt(placeOf(event));
    if (!busy) stroke = [pointer = placeOf(event)];
    draw();
  },
  move(event) {
    if (!stroke) return;
    stroke.push(pointer = placeOf(event));
    draw();
  },
  end() {
    if (!stroke) return;
    const points = stroke.filter((_, i) => i % Math.ceil(stroke.length / 4000) === 0);
    change("paint", {person: chosen().number, frame, points, radius: Number(find("#radius").value), adds: !erasing,
                     carries: find("#carries").checked},
           ({first, last}) => first === last ? `Painted in frame ${frame + 1}.` :
             `Painted in frame ${frame + 1}, and carried on to frames ${first + 1} to ${last + 1}.`);
  },
});
screen.addEventListener("pointermove", (event) => { if (painting && !stroke) { pointer = placeOf(event); draw(); } });
screen.addEventListener("pointerleave", () => { pointer = null; draw(); });

// Whose joints are the nearest to a place in the picture.
function selectAt([x, y]) {
  const poses = posesOf(frame);
  let best = null, nearest = HEIGHT / 8;
  for (const row of state.people)
    for (const joint of poses?.people[row.number] ?? []) {
      const distance = Math.hypot(joint[0] - x, joint[1] - y);
      if (distance < nearest) [best, nearest] = [row, distance];
    }
  if (best) choose(keyOf(best));
}

// Rows.
const axis = new FrameAxis(find("#ruler canvas"), find("#playhead"), () => length, (index) => seek(index));

function drawRows() {
  find("#rows").replaceChildren();
  const add = (row) => {
    const button = element("button", {className: "head", title: titleOf(row)},
                           element("span", {className: "swatch"}), element("span", {className: "title"}, titleOf(row)));
    button.setAttribute("aria-pressed", keyOf(row) === selected);
    button.firstChild.style.background = colourOf(row);
    button.addEventListener("click", () => choose(keyOf(row)));
    const canvas = element("canvas"), seekTo = (event) => seek(axis.frameAt(event.offsetX, canvas));
    dragged(canvas, {start(event) { choose(keyOf(row)); seekTo(event); }, move: seekTo});
    const made = element("div", {className: row.leftOut ? "row left-out" : "row"}, button, canvas);
    find("#rows").append(made);
    drawRuns(canvas, row);
  };
  state.people.forEach(add);
  if (state.leftOut.length) find("#rows").append(element("div", {className: "caption"}, "Left out"));
  rows().filter((row) => row.leftOut).forEach(add);
  axis.drawRuler(0, length - 1);
}

function drawRuns(canvas, row) {
  const context = prepared(canvas), middle = canvas.clientHeight / 2;
  context.fillStyle = colourOf(row);
  context.globalAlpha = row.leftOut ? 0.5 : 0.9;
  for (const [first, last] of row.runs) {
    const left = axis.x(first - 0.5, canvas), right = axis.x(last + 0.5, canvas);
    context.fillRect(left, middle - 5, Math.max(right - left, 2), 10);
  }
  context.globalAlpha = 1;
  context.fillStyle = getComputedStyle(document.body).color;
  for (const index of row.painted ?? []) {
    context.beginPath();
    context.arc(axis.x(index, canvas), middle, 3, 0, 2 * Math.PI);
    context.fill();
  }
}

function choose(key) {
  const former = chosen(), row = rows().find((one) => keyOf(one) === key);
  if (joining && former && row && former !== row && !row.leftOut) {
    joining = false;
    change("join", {person: former.number, other: row.number}, () => `${titleOf(former)} and ${titleOf(row)} are one.`,
           () => `in ${Math.min(former.number, row.number)}`);
    return;
  }
  if (joining) tell("");
  joining = false;
  selected = key;
  show();
}

function show() {
  const row = chosen(), inClip = row !== null && !row.leftOut;
  if (!inClip || !row.hasMasks) painting = false;
  for (const id of ["join", "split", "drop", "name"]) find(`#${id}`).disabled = !inClip || busy;
  find("#join").disabled ||= state.people.length < 2;
  find("#take").hidden = !row?.leftOut;
  find("#drop").hidden = Boolean(row?.leftOut);
  find("#brush").disabled = !inClip || !row.hasMasks;
  find("#brush").title = inClip && !row.hasMasks ? "This person has no masks yet; prepare the clip first" :
    "Correct the mask of this person (B)";
  find("#brush").setAttribute("aria-pressed", painting);
  find("#brush-tools").hidden = !painting;
  find("#erase").setAttribute("aria-pressed", erasing);
  find("#join").setAttribute("aria-pressed", joining);
  find("#undo").disabled = !state.canUndo || busy;
  find("#redo").disabled = !state.canRedo || busy;
  screen.classList.toggle("painting", painting);
  if (document.activeElement !== find("#name")) find("#name").value = inClip ? row.name : "";
  const focused = document.activeElement?.closest?.(".row") && selected;
  drawRows();
  if (focused) find('.row button[aria-pressed="true"]')?.focus();
  draw();
}

// Ask the server to change something; it answers with the new state.
async function change(command, asked, said, selects) {
  if (busy) return;
  busy = true;
  if (command === "paint") tell("Painting, and looking for it in the frames around …");
  show();
  try {
    const answer = await server.ask(command, asked);
    state = answer.state;
    changes++;
    for (const address of [...kept.keys()]) if (!address.startsWith("picture")) kept.delete(address);
    if (selects) selected = selects();
    if (!chosen()) selected = state.people.length ? keyOf(state.people[0]) : null;
    tell(said(answer));
  } catch (error) {
    tell(error.message, true);
  }
  busy = false;
  stroke = null;
  show();
}

function seek(index) {
  frame = Math.min(Math.max(index, 0), length - 1);
  find("#frame").value = frame + 1;
  loads.forget(0);
  loads.retry();
  draw();
}

function play() {
  if (playing) {
    clearInterval(playing);
    playing = null;
  } else {
    if (frame === length - 1) seek(0);
    playing = setInterval(() => {
      if (frame === length - 1) return play();
      if (pictureOf(frame + 1)) seek(frame + 1);  // else wait for it
      if (frame + 2 < length) pictureOf(frame + 2, 1);
    }, 1000 / rate);
  }
  find("#play").textContent = playing ? "Pause" : "Play";
}

function step(by) {
  const all = rows(), at = all.findIndex((row) => keyOf(row) === selected);
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  if (next) choose(keyOf(next));
  find('.row button[aria-pressed="true"]')?.scrollIntoView({block: "nearest"});
}

function rename() {
  const row = chosen(), text = find("#name").value.trim();
  if (row && !row.leftOut && text !== row.name)
    change("name", {person: row.number, name: text}, () => text ? `Person ${row.number} is ${text}.` : "");
}

function startJoining() {
  joining = !joining;
  tell(joining ? `Choose who is the same person as ${titleOf(chosen())}.` : "");
  show();
}

const resize = (by) => {
  find("#radius").value = Number(find("#radius").value) + by;
  draw();
};

const ACTIONS = {
  join: startJoining,
  split() {
    const row = chosen();
    change("split", {person: row.number, frame}, () => `From frame ${frame + 1} on it is somebody else.`);
  },
  drop() {
    const row = chosen();
    change("drop", {person: row.number}, () => `${titleOf(row)} is left out, and in the rows at the bottom.`);
  },
  take() {
    const row = chosen();
    change("take", {person: row.number}, () => `${titleOf(row)} is taken in.`,
           () => keyOf(state.people[state.people.length - 1]));
  },
  undo() { change("undo", {}, () => "Undone."); },
  redo() { change("redo", {}, () => "Done again."); },
  brush() { painting = !painting; show(); },
  erase() { erasing = !erasing; show(); },
  play, "step-back": () => seek(frame - 1), "step-on": () => seek(frame + 1),
  help() { find("#help-dialog").showModal(); },
};
for (const [id, action] of Object.entries(ACTIONS)) find(`#${id}`).addEventListener("click", action);
find("#frame").addEventListener("change", (event) => seek(Number(event.target.value) - 1));
find("#name").addEventListener("change", rename);
for (const id of ["show-masks", "show-poses", "radius"]) find(`#${id}`).addEventListener("input", draw);

const KEYS = [
  [["ArrowLeft"], "←", "one frame back", () => seek(frame - 1)],
  [["ArrowRight"], "→", "one frame on", () => seek(frame + 1)],
  [["Home"], "Home", "first frame", () => seek(0)],
  [["End"], "End", "last frame", () => seek(length - 1)],
  [[" "], "Space", "play or pause", play],
  [["ArrowUp"], "↑", "the row above", () => step(-1)],
  [["ArrowDown"], "↓", "the row below", () => step(1)],
  [["j"], "J", "join with the row that is chosen next", ACTIONS.join, "join"],
  [["Enter"], "Enter", "join with the row that has the focus", null],
  [["s"], "S", "split here", ACTIONS.split, "split"],
  [["Delete", "Backspace"], "Delete", "leave out", ACTIONS.drop, "drop"],
  [["t"], "T", "take in", ACTIONS.take, "take"],
  [["n"], "N", "name", () => find("#name").focus(), "name"],
  [["b"], "B", "brush", ACTIONS.brush, "brush"],
  [["x"], "X", "erase or add", ACTIONS.erase, "brush"],
  [["["], "[", "smaller brush", () => resize(-2)],
  [["]"], "]", "larger brush", () => resize(2)],
  [["Escape"], "Esc", "no joining, no brush", () => { joining = painting = false; tell(""); show(); }],
  [["?"], "?", "this help", ACTIONS.help],
];
document.addEventListener("keydown", (event) => {
  if (find("dialog[open]")) return;
  const typing = event.target.matches("input[type=text], input[type=number]");
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) {
    event.preventDefault();
    const id = event.shiftKey ? "redo" : "undo";
    if (!find(`#${id}`).disabled) ACTIONS[id]();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) {
    if (["Enter", "Escape"].includes(event.key)) event.target.blur();
    return;
  }
  if (joining && ["ArrowUp", "ArrowDown"].includes(event.key)) {  // the focus goes to a row, Enter chooses it
    const buttons = [...document.querySelectorAll(".row button")];
    const at = Math.max(buttons.indexOf(document.activeElement), buttons.findIndex((one) => one.ariaPressed === "true"));
    const here = buttons.includes(document.activeElement) ? buttons.indexOf(document.activeElement) : at;
    buttons[Math.min(Math.max(here + (event.key === "ArrowDown" ? 1 : -1), 0), buttons.length - 1)]?.focus();
    event.preventDefault();
    return;
  }
  if (event.key === " " && event.target.matches("button")) return;  // the button's own
  const found = KEYS.find(([keys]) => keys.includes(event.key) || keys.includes(event.key.toLowerCase()));
  if (!found?.[3] || (found[4] && (find(`#${found[4]}`).disabled || find(`#${found[4]}`).hidden))) return;
  event.preventDefault();
  found[3]();
});
for (const [, key, what] of KEYS)
  find("#keys").append(element("dt", {}, key), element("dd", {}, what));
find("#keys").append(element("dt", {}, "Ctrl Z, Ctrl Shift Z"), element("dd", {}, "undo, redo"));

find("#clip-name").textContent = clipName;
find("#length").textContent = `of ${length}`;
find("#frame").max = length;
find("#then").textContent = then;
if (state.people.length) selected = keyOf(state.people[0]);
new ResizeObserver(() => { drawRows(); draw(); }).observe(document.body);
show();
