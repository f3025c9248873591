// The rows below the picture: thumbnails and the time curve of each instance of a layer, which is dragged here. The
// selected row may show a number instead of its time.
"use strict";

const REACH = 9;              // pixels from a pin or curve that still take hold of it
const FINGER = 20;            // the same for a finger
const LEG = 12;               // pixels from the lower edge of a row within which keys of numbers are seen
const SNAP = 6;               // pixels from a frame that something stands in, at which a pin goes there

const reachOf = (pointerType) => (pointerType === "touch" ? FINGER : REACH);

class Timeline extends FrameAxis {
  // `actions`: seek(frame), select(row, how), toggleRemoved(row), toggleSolo(row), picked().
  constructor(model, thumbnails, sound, actions) {
    super(find("#ruler canvas"), find("#playhead"), () => model.length, actions.seek);
    Object.assign(this, {model, thumbnails, sound, actions, selected: null, views: [], presses: [], picked: [], snaps: true,
                         track: TIME, marker: null, units: new TimeUnits(model.clip.rate)});
    this.rowsBox = find("#rows");
    this.zoomedOn(find("#sound canvas"));
    this.makeMarkersDraggable();
    this.rowsBox.addEventListener("dblclick", ({target}) => { if (!target.closest(".head")) this.togglePin(); });
    new ResizeObserver(() => {
      this.reachRow();
      this.draw();
    }).observe(this.rowsBox);
  }

  // ---- places -------------------------------------------------------------------------------------------------------

  // What a row's curve shows.
  trackOf(row) { return this.selected && sameRow(row, this.selected) ? this.track : TIME; }

  // The lowest and the highest value that a track of a row has room for.
  room(row, track) {
    if (track === TIME) return [0, Math.max(this.model.clip.length - 1, 1)];
    const [, low, high] = NUMBERS[track], values = this.model.points(row, track).map(([, value]) => value);
    return [Math.min(low, ...values), Math.max(high, ...values)];
  }

  y(value, canvas, [low, high] = [0, Math.max(this.model.clip.length - 1, 1)]) {
    return canvas.clientHeight - MARGIN - (value - low) / (high - low) * (canvas.clientHeight - 2 * MARGIN);
  }

  valueAtHeight(y, canvas, [low, high]) {
    return low + (canvas.clientHeight - MARGIN - y) / (canvas.clientHeight - 2 * MARGIN) * (high - low);
  }

  // ---- rows ---------------------------------------------------------------------------------------------------------

  update(selected, output, picked = [selected]) {
    this.frame = output;
    const rows = this.model.rows().reverse();  // what is in front stands on top
    const names = rows.map(rowName).join(" ");
    const isOther = !this.selected || !sameRow(selected, this.selected);
    if (isOther) Object.assign(this, {picked: [], track: TIME});
    this.selected = selected;
    this.marker = this.model.markers.find(([at]) => at === this.marker?.[0]) ?? null;
    if (names !== this.names) {
      this.names = names;
      this.views = rows.map((row) => this.makeRow(row));
      this.rowsBox.replaceChildren(...this.views.map(({box}) => box));
    }
    for (const {row, box, buttons, title} of this.views) {
      const isPicked = picked.some((other) => sameRow(row, other));
      box.classList.toggle("selected", sameRow(row, selected));
      box.classList.toggle("picked", isPicked);
      box.classList.toggle("hidden", this.model.isHidden(row));
      title.textContent = this.model.title(row);
      title.setAttribute("aria-pressed", isPicked);
      buttons.remove?.setAttribute("aria-pressed", this.model.values.remove?.includes(row.layer) ?? false);
      buttons.solo?.setAttribute("aria-pressed", this.model.values.solo?.includes(row.layer) ?? false);
    }
    if (isOther) this.reachRow();
    this.draw();
  }

  // Scroll the selected row into view, among the rows alone.
  reachRow() {
    const {rowsBox} = this, row = rowsBox.querySelector(".selected");
    if (!row) return;
    const [top, bottom] = [row.offsetTop - rowsBox.offsetTop, row.offsetTop - rowsBox.offsetTop + row.offsetHeight];
    if (bottom > rowsBox.scrollTop + rowsBox.clientHeight) rowsBox.scrollTop = bottom - rowsBox.clientHeight;
    if (top < rowsBox.scrollTop) rowsBox.scrollTop = top;
  }

  makeRow(row) {
    const [box, head, title, face, canvas, points] = ["div", "div", "button", "canvas", "canvas", "div"].map((tag) =>
      document.createElement(tag));
    points.className = "points";
    box.className = "row";
    box.dataset.row = rowName(row);
    head.className = "head";
    title.className = "title";
    face.className = "face";
    head.append(face, title);
    const buttons = {};
    if (isPerson(row)) {
      const tools = document.createElement("span");
      for (const [name, letter, text, action] of [
        ["solo", "S", "Show only this person (S)", this.actions.toggleSolo],
        ["remove", "×", "Leave this person out (Delete)", this.actions.toggleRemoved]]) {
        buttons[name] = Object.assign(document.createElement("button"), {textContent: letter, title: text});
        buttons[name].addEventListener("click", (event) => { event.stopPropagation(); action(row); });
        tools.append(buttons[name]);
      }
      head.append(tools);
    }
    head.addEventListener("click", ({ctrlKey, metaKey, shiftKey}) =>
      this.actions.select(row, shiftKey ? "until" : ctrlKey || metaKey ? "toggle" : "alone"));
    box.append(head, canvas, points);
    this.makeDraggable(row, canvas);
    this.zoomedOn(canvas);
    return {row, box, title, face, canvas, points, buttons};
  }

  // ---- points: pins of time, keys of numbers ------------------------------------------------------------------------

  // What the selected row shows: its time, or a number.
  showTrack(track) {
    Object.assign(this, {track, picked: []});
    this.actions.picked();
  }

  // Those points of the selected row that are picked, by pointer or keyboard, as far as they are still there.
  get picks() {
    const points = this.model.points(this.selected, this.track);
    return this.picked.map((point) => points.find((other) => samePin(point, other))).filter(Boolean);
  }

  pick(points) {
    this.picked = points;
    if (points.length) this.marker = null;
    this.actions.picked();
  }

  pickMarker(marker) {
    if (marker === this.marker) return;
    this.marker = marker;
    if (marker) this.picked = [];
    this.actions.picked();
  }

  // The points of the selected row that are seen, by output frame: [output, point].
  get seenPoints() {
    const {model, selected: row, track} = this;
    return model.points(row, track).map((point) => [model.pointOutput(row, track, point), point])
      .filter(([output]) => output !== null);
  }

  // The point before (-1) or after (1) what is picked, else the playhead.
  pickBeside(direction) {
    const {model, selected: row, picks, track} = this;
    const from = picks.length === 1 ? model.pointOutput(row, track, picks[0]) : this.frame, points = this.seenPoints;
    const beside = direction > 0 ? points.find(([output]) => output > from) : points.findLast(([output]) => output < from);
    if (!beside) return;
    this.pick([beside[1]]);
    this.actions.seek(beside[0]);
  }

  // The marker before or after the playhead.
  goToMarker(direction) {
    const {markers} = this.model, from = this.frame + 1;
    const beside = direction > 0 ? markers.find(([at]) => at > from) : markers.findLast(([at]) => at < from);
    if (!beside) return;
    this.pickMarker(beside);
    this.actions.seek(beside[0] - 1);
  }

  // Move what is picked by output frames and by steps of its value.
  nudge(outputs, steps) {
    const {model, selected: row, picks, track, marker} = this;
    if (marker) {
      this.marker = model.moveMarker(marker, marker[0] + outputs);
      return this.actions.seek(this.marker[0] - 1);
    }
    if (!picks.length) return;
    const by = track === TIME ? steps : steps * NUMBERS[track][3];
    const others = model.points(row, track).filter((point) => !picks.some((other) => samePin(point, other)));
    this.pick(model.movePoints(row, track, picks, outputs, by, others));
    if (picks.length === 1) this.actions.seek(model.pointOutput(row, track, this.picks[0]) ?? this.frame);
  }

  // Output frames in which something stands that points snap to: the playhead, pins, events, markers, ends of what is
  // rendered.
  landmarks(held) {
    const {model} = this, rows = model.rows(), [first, last] = model.values.range ?? [1, model.length];
    const pins = rows.flatMap((row) => model.pins(row).filter((pin) => !held.points.includes(pin))
      .map((pin) => model.pinOutput(row, pin)));
    return [this.frame, first - 1, last - 1, ...pins, ...rows.map((row) => model.eventOutput(row)),
            ...model.markers.filter((marker) => marker !== held.marker).map(([at]) => at - 1)]
      .filter((output) => output !== null);
  }

  snapped(output, x, canvas, landmarks) {
    const near = landmarks.map((mark) => [Math.abs(this.x(mark, canvas) - x), mark]).sort((a, b) => a[0] - b[0]);
    return near.length && near[0][0] <= SNAP ? near[0][1] : output;
  }

  // A press on a marker picks it; dragged, it snaps as points do, and the playhead goes with it.
  makeMarkersDraggable() {
    const {model, ruler} = this, merge = "drag marker";
    let from = 0, landmarks = [];
    dragged(ruler, {
      start: (event) => {
        const near = model.markers.map((marker) => [Math.abs(this.x(marker[0] - 1, ruler) - event.offsetX), marker])
          .filter(([distance]) => distance <= reachOf(event.pointerType)).sort((a, b) => a[0] - b[0]);
        this.pickMarker(near[0]?.[1] ?? null);
        if (!this.marker) return;
        this.holdView(true);
        from = this.x(this.marker[0] - 1, ruler);
        landmarks = this.landmarks({points: [], marker: this.marker}).filter((mark) => mark !== this.frame);
      },
      move: (event, dx) => {
        if (!this.marker || (Math.abs(dx) < 3 && model.merging !== merge)) return;
        let output = this.frameAt(from + dx, ruler);
        if (this.snaps && !event.altKey) output = this.snapped(output, from + dx, ruler, landmarks);
        this.marker = model.moveMarker(this.marker, output + 1, merge);
        this.actions.seek(output);
      },
      end: () => { this.holdView(false); model.endMerge(); },
      cancel: () => { this.holdView(false); model.cancelMerge(merge); },
    });
  }

  makeDraggable(row, canvas) {
    const {model} = this, merge = `drag ${rowName(row)}`;
    let held = null;
    const dragHandle = (dx, dy) => {
      const room = this.room(row, held.track), [low, high] = room, [first, last] = this.view;
      const frames = dx / (canvas.clientWidth - 2 * MARGIN) * (last - first);
      const value = -dy / (canvas.clientHeight - 2 * MARGIN) * (high - low);
      model.setHandle(row, held.track, held.point, held.handle, [held.from[0] + frames, held.from[1] + value], merge);
      this.picked = [model.points(row, held.track).find((point) => samePin(point, held.point))];
      this.draw();
    };
    const letGo = (picked) => {
      find("#readout").hidden = true;
      this.actions.select(row);  // not before: the row grows
      if (!held) return;
      this.pick(picked);
      if (held.moved && !held.handle) this.actions.seek(held.playhead);
    };
    dragged(canvas, {
      start: (event) => {
        held = this.hit(row, canvas, event);
        this.presses = [...this.presses.slice(-1), {row, held}];
        if (!held) return this.actions.seek(this.frameAt(event.offsetX, canvas));
        this.holdView(true);
        const {track} = held, picks = sameRow(row, this.selected) && track === this.track ? this.picks : [];
        const add = event.shiftKey || event.ctrlKey;
        const isPicked = held.point && picks.some((point) => samePin(point, held.point));
        held.points = !held.point ? [model.pointAt(row, track, held.output, held.value)]
          : isPicked ? picks.filter((point) => !add || !samePin(point, held.point)) : [...add ? picks : [], held.point];
        // All of a drag is reckoned from its start: a point that is passed over comes back.
        held.others = model.points(row, track).filter((point) => !held.points.some((other) => samePin(point, other)));
        Object.assign(held, {playhead: this.frame, landmarks: this.landmarks(held)});
      },
      move: (event, dx, dy) => {
        if (!held) return this.actions.seek(this.frameAt(event.offsetX, canvas));
        if ((Math.hypot(dx, dy) < 3 && !held.moved) || !held.points.length) return;
        held.moved = true;
        if (event.shiftKey) [dx, dy] = Math.abs(dx) > Math.abs(dy) ? [dx, 0] : [0, dy];  // one axis alone
        if (held.handle) return dragHandle(dx, dy);
        if (held.isAtEdge) dy = 0;  // where its value is not seen
        let output = this.frameAt(held.x + dx, canvas);
        if (this.snaps && !event.altKey) output = this.snapped(output, held.x + dx, canvas, held.landmarks);
        const value = this.valueAtHeight(held.y + dy, canvas, held.room);
        const by = held.track === TIME ? Math.round(value) - Math.round(held.value) : value - held.value;
        this.picked = model.movePoints(row, held.track, held.points, output - held.output, dy ? by : 0, held.others,
                                       merge);
        this.actions.seek(output);  // what is dragged is what is looked at
        this.readOut(row, output, event);
      },
      end: () => {
        this.holdView(false);
        model.endMerge();
        if (held && held.track !== this.trackOf(row)) this.track = held.track;
        letGo(held?.moved ? this.picked : held?.point ? held.points : []);
      },
      cancel: () => {
        this.holdView(false);
        model.cancelMerge(merge);
        letGo([]);
      },
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) canvas.style.cursor = this.hit(row, canvas, event) ? "grab" : "default";
    });
  }

  // What is shown where something is dragged, and how fast it goes before and after.
  readOut(row, output, {clientX, clientY}) {
    const {sourceTime} = this.model.instance(row), at = sourceTime(output), box = find("#readout");
    const track = this.trackOf(row), speeds = [[output - 1, output], [output, output + 1]]
      .map(([a, b]) => `${Math.round(100 * (sourceTime(b) - sourceTime(a)))} %`);
    const shown = at === null ? "nothing" : `frame ${nearest(at) + 1}`;
    box.textContent = track === TIME ? `${shown} at ${output + 1} · ${speeds.join(" → ")}`
      : `${NUMBERS[track][0]} ${Math.round(1000 * this.model.valueAt(row, track, output)) / 1000} at ${output + 1}`;
    box.hidden = false;
    const around = box.parentElement.getBoundingClientRect();
    const x = Math.min(clientX - around.x + 14, around.width - box.offsetWidth - 4);
    box.style.transform = `translate(${x}px, ${Math.max(clientY - around.y - 30, 0)}px)`;
  }

  // Set a point, or take it away, where the first press of a double-click was: by the second one the row may have grown.
  togglePin() {
    const [{row, held}] = this.presses, {model} = this;
    if (held?.handle) model.setHandles(row, held.track, [held.point], undefined);
    else if (held?.point) model.deletePoints(row, held.track, [held.point]);
    else if (held) model.setPoint(row, held.track, held.output, model.valueAt(row, held.track, held.output) ?? 0);
    this.actions.select(row);
  }

  // The handle, point or place on the curve under the pointer: {x, y, output, value, point, track, room}.
  hit(row, canvas, {offsetX, offsetY, pointerType}) {
    const reach = reachOf(pointerType), isHere = ([x, y]) => Math.hypot(x - offsetX, y - offsetY) <= reach;
    const {model} = this, track = this.trackOf(row), room = this.room(row, track);
    if (sameRow(row, this.selected)) {
      for (const {side, point, place, from} of this.handles(canvas)) {
        if (isHere(place)) return {handle: side, point, from, track, room};
      }
      for (const [output, keyed, point] of offsetY > canvas.clientHeight - LEG ? this.keysOf(row) : []) {
        const x = this.x(output, canvas), value = point[1];
        if (Math.abs(x - offsetX) <= reach - 3 && keyed !== track)
          return {x, y: offsetY, output, value, point, track: keyed, room: this.room(row, keyed), isAtEdge: true};
      }
    }
    const points = model.points(row, track).flatMap((point) => {
      const output = model.pointOutput(row, track, point), value = model.shownValue(track, point[1]);
      const x = this.x(output ?? 0, canvas), y = this.y(value, canvas, room);
      return output === null || !isHere([x, y]) ? [] : [{x, y, output, value, point, track, room}];
    });
    const distance = ({x, y}) => Math.hypot(x - offsetX, y - offsetY);
    if (points.length) return points.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    let best = null, nearest = reach;
    for (let dx = -reach; dx <= reach; dx += 1.5) {  // between frames, too
      const output = this.place(offsetX + dx, canvas), value = model.valueAt(row, track, output);
      if (value === null) continue;
      const far = distance({x: this.x(output, canvas), y: this.y(value, canvas, room)});
      if (far < nearest) [best, nearest] = [Math.round(output), far];
    }
    if (best === null) return null;
    const value = model.valueAt(row, track, best);
    return value === null ? null
      : {x: this.x(best, canvas), y: this.y(value, canvas, room), output: best, value, point: null, track, room};
  }

  // The handles of the point that is picked in the selected row, where it is one: {side, point, place, from}.
  handles(canvas) {
    const {model, selected: row, track, picks: [point], picks: {length}} = this;
    const output = length === 1 ? model.pointOutput(row, track, point) : null;
    if (output === null) return [];
    const room = this.room(row, track), value = model.shownValue(track, point[1]);
    return Object.entries(model.handlesOf(row, track, point)).map(([side, from]) => ({
      side, point, from, place: [this.x(output + from[0], canvas), this.y(value + from[1], canvas, room)]}));
  }

  // Keys of all numbers of a row: [output, number, key].
  keysOf(row) {
    return Object.keys(NUMBERS).flatMap((key) => this.model.points(row, key).map((point) => [point[0] - 1, key, point]));
  }

  // ---- drawing ------------------------------------------------------------------------------------------------------

  draw() {
    const [first, last] = this.model.values.range ?? [1, this.model.length];
    this.drawRuler(first - 1, last - 1, (frame) => this.units.text(frame), this.markerPlaces());
    this.drawMarkers();
    if (this.sound.buffer) this.sound.draw(find("#sound canvas"), this);
    this.views.forEach((view) => this.drawRow(view));
    this.movePlayhead(this.frame);
  }

  // From the left to the right of each marker with its name.
  markerPlaces() {
    const context = this.ruler.getContext("2d");
    context.font = RULER_FONT;
    return this.model.markers.map(([at, name]) => {
      const x = this.x(at - 1, this.ruler);
      return [x - 6, x + 10 + context.measureText(name).width];
    });
  }

  drawMarkers() {
    const {ruler, model} = this, context = ruler.getContext("2d"), colours = getComputedStyle(ruler);
    context.fillStyle = colours.getPropertyValue("--event");
    context.textAlign = "left";
    for (const [at, name] of model.markers) {
      const x = this.x(at - 1, ruler);
      context.beginPath();
      for (const [dx, y] of [[-5, 0], [5, 0], [5, 6], [0, 11], [-5, 6]]) context.lineTo(x + dx, y);
      context.fill();
      if (this.marker?.[0] === at) {
        context.lineWidth = 1.5;
        context.strokeStyle = colours.getPropertyValue("--ink");
        context.stroke();
      }
      const {width} = context.measureText(name), colour = context.fillStyle;
      context.fillStyle = colours.getPropertyValue("--panel");
      context.fillRect(x + 6, 0, width + 4, 14);
      context.fillStyle = colour;
      context.fillText(name, x + 8, 10);
    }
  }

  drawRow({row, canvas, face, points: pointsBox}) {
    const {model} = this, context = prepared(canvas), instance = model.instance(row), {length, clip} = model;
    const track = this.trackOf(row), room = this.room(row, track);
    const {clientWidth: width, clientHeight: height} = canvas, colours = getComputedStyle(canvas);
    const isSeen = row.layer !== OTHERS;  // it has no pictures of its own
    if (isSeen) this.drawStrip(context, row, canvas, instance);
    const head = isSeen ? this.thumbnails.at(row.layer, clip.length / 2) : null, headContext = prepared(face);
    if (head) drawInside(headContext, head, 0, 0, face.clientWidth, face.clientHeight, row.layer === BACKGROUND);

    if (track === TIME && (row.layer !== BACKGROUND || model.entry(row).time)) {  // as filmed, for comparison
      context.strokeStyle = colours.getPropertyValue("--faint");
      context.lineWidth = 1;
      context.setLineDash([3, 4]);
      context.beginPath();
      const end = Math.min(length, clip.length) - 1;
      context.moveTo(this.x(0, canvas), this.y(0, canvas));
      context.lineTo(this.x(end, canvas), this.y(end, canvas));
      context.stroke();
      context.setLineDash([]);
    }
    context.strokeStyle = colours.getPropertyValue(sameRow(row, this.selected) ? "--accent" : "--curve");
    context.lineWidth = sameRow(row, this.selected) ? 2 : 1.5;
    context.lineJoin = "round";
    context.beginPath();
    let last = null;
    const [first, end] = this.view;
    const [from, until] = [Math.max(Math.floor(first) - 1, 0), Math.min(Math.ceil(end) + 1, length - 1)];
    const step = Math.max((until - from) / (2 * width), 0.25);
    for (let output = from; output <= until + step / 2; output += step) {
      const source = track === TIME ? instance.sourceTime(Math.min(output, until))
        : model.valueAt(row, track, Math.min(output, until));
      const [x, y] = [this.x(Math.min(output, until), canvas), this.y(source ?? 0, canvas, room)];
      if (source !== null) context[last === null ? "moveTo" : "lineTo"](x, y);
      last = source;
    }
    context.stroke();

    const isSelected = sameRow(row, this.selected);
    if (isSelected) this.drawHandles(context, canvas, colours, room);
    const shown = model.points(row, track).map((point) => [model.pointOutput(row, track, point), point])
      .filter(([output]) => output !== null);
    for (const [output, point] of shown) {
      context.beginPath();
      context.arc(this.x(output, canvas), this.y(model.shownValue(track, point[1]), canvas, room), 4.5, 0, 7);
      const isPicked = isSelected && this.picked.some((other) => samePin(point, other));
      context.fillStyle = colours.getPropertyValue(isPicked ? "--event" : "--ground");
      context.fill();
      context.strokeStyle = colours.getPropertyValue(isSelected ? "--accent" : "--curve");
      context.lineWidth = 2;
      context.stroke();
    }
    this.labelRow(context, canvas, colours, row, track, shown);
    if (isSelected) this.placeButtons(pointsBox, canvas, room, shown);
    else pointsBox.replaceChildren();
    if (track !== TIME) return;
    const output = model.eventOutput(row);
    if (output !== null) {
      context.fillStyle = colours.getPropertyValue("--event");
      const [x, y] = [this.x(output, canvas), this.y(instance.sourceTime(output), canvas)];
      context.beginPath();
      for (const [dx, dy] of [[0, -5], [5, 0], [0, 5], [-5, 0]]) context.lineTo(x + dx, y + dy);
      context.fill();
    }
  }

  // Keys of numbers at the lower edge, how fast it goes between pins, and the name of a number that is shown.
  labelRow(context, canvas, colours, row, track, shown) {
    context.fillStyle = colours.getPropertyValue("--quiet");
    for (const [output] of this.keysOf(row)) {
      const x = this.x(output, canvas), y = canvas.clientHeight - 5;
      context.beginPath();
      for (const [dx, dy] of [[0, -4], [4, 0], [0, 4], [-4, 0]]) context.lineTo(x + dx, y + dy);
      context.fill();
    }
    if (!sameRow(row, this.selected)) return;
    context.font = "11px system-ui, sans-serif";
    const write = (text, x, y) => {
      const half = context.measureText(text).width / 2 + 3;
      context.fillStyle = colours.getPropertyValue("--panel");
      context.fillRect(x - half, y - 10, 2 * half, 14);
      context.fillStyle = colours.getPropertyValue("--ink");
      context.textAlign = "center";
      context.fillText(text, x, y);
    };
    if (track !== TIME) return write(NUMBERS[track][0], 44, 14);
    for (let i = 0; i + 1 < shown.length; i++) {
      const [[from, a], [to, b]] = [shown[i], shown[i + 1]], [x0, x1] = [this.x(from, canvas), this.x(to, canvas)];
      if (x1 - x0 > 46 && to > from) {
        write(`${Math.round(100 * (b[1] - a[1]) / (to - from))} %`, (x0 + x1) / 2,
              (this.y(a[1] - 1, canvas) + this.y(b[1] - 1, canvas)) / 2 - 8);
      }
    }
  }

  drawHandles(context, canvas, colours, room) {
    context.fillStyle = context.strokeStyle = colours.getPropertyValue("--event");
    for (const {point, place: [x, y]} of this.handles(canvas)) {
      const output = this.model.pointOutput(this.selected, this.track, point);
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(this.x(output, canvas), this.y(this.model.shownValue(this.track, point[1]), canvas, room));
      context.lineTo(x, y);
      context.stroke();
      context[point[2] ? "fillRect" : "strokeRect"](x - 3.5, y - 3.5, 7, 7);
    }
  }

  // What the keyboard, and who cannot see the curve, has of its points: a button each, to be picked by going there.
  placeButtons(box, canvas, room, shown) {
    const label = ([output, point]) => (this.track === TIME ? `Pin: frame ${output + 1} shows frame ${point[1]}`
      : `${NUMBERS[this.track][0]}: ${point[1]} in frame ${output + 1}`);
    while (box.children.length > shown.length) box.lastChild.remove();
    while (box.children.length < shown.length) {
      const button = element("button", {className: "point", title: "Alt and the arrow keys move it"});
      button.addEventListener("focus", () => {
        const found = this.seenPoints[[...box.children].indexOf(button)];
        if (!found || !button.matches(":focus-visible")) return;
        this.pick([found[1]]);
        this.actions.seek(found[0]);
      });
      box.append(button);
    }
    shown.forEach((one, i) => {
      const [x, y] = [this.x(one[0], canvas), this.y(this.model.shownValue(this.track, one[1][1]), canvas, room)];
      box.children[i].setAttribute("aria-label", label(one));
      box.children[i].style.transform = `translate(${x - 8}px, ${y - 8}px)`;
    });
  }

  drawStrip(context, row, canvas, instance) {
    const height = Math.min(canvas.clientHeight - 4, 1.6 * THUMBNAIL_HEIGHT), top = (canvas.clientHeight - height) / 2;
    const isBackground = row.layer === BACKGROUND, cell = isBackground ? 1.6 * height : 0.9 * height;
    context.globalAlpha = this.model.isHidden(row) ? 0.1 : 0.5;
    for (let x = MARGIN; x + cell <= canvas.clientWidth - MARGIN + 1; x += cell + 6) {
      const source = instance.sourceTime(this.place(x + cell / 2, canvas));
      const picture = source === null ? null : this.thumbnails.at(row.layer, source);
      if (picture) drawInside(context, picture, x, top, cell, height, isBackground);
    }
    context.globalAlpha = 1;
  }
}
