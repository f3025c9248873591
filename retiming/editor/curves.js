// The rows below the picture: thumbnails and the time curve of each instance of a layer, which is dragged here.
"use strict";

const REACH = 9;              // pixels from a pin or curve that still take hold of it
const SNAP = 6;               // pixels from a frame that something stands in, at which a pin goes there

class Timeline extends FrameAxis {
  // `actions`: seek(frame), select(row), toggleRemoved(row), toggleSolo(row).
  constructor(model, thumbnails, sound, actions) {
    super(find("#ruler canvas"), find("#playhead"), () => model.length, actions.seek);
    Object.assign(this, {model, thumbnails, sound, actions, selected: null, views: [], presses: [], picked: [], snaps: true});
    this.rowsBox = find("#rows");
    this.zoomedOn(find("#sound canvas"));
    this.rowsBox.addEventListener("dblclick", ({target}) => { if (!target.closest(".head")) this.togglePin(); });
    new ResizeObserver(() => this.draw()).observe(this.rowsBox);
  }

  // ---- places -------------------------------------------------------------------------------------------------------

  y(source, canvas) {
    return canvas.clientHeight - MARGIN
      - source / Math.max(this.model.clip.length - 1, 1) * (canvas.clientHeight - 2 * MARGIN);
  }

  sourceAt(y, canvas) {
    return (canvas.clientHeight - MARGIN - y) / (canvas.clientHeight - 2 * MARGIN) * (this.model.clip.length - 1);
  }

  // ---- rows ---------------------------------------------------------------------------------------------------------

  update(selected, output) {
    this.frame = output;
    const rows = this.model.rows().reverse();  // what is in front stands on top
    const names = rows.map(rowName).join(" ");
    if (!this.selected || !sameRow(selected, this.selected)) this.picked = [];
    this.selected = selected;
    if (names !== this.names) {
      this.names = names;
      this.views = rows.map((row) => this.makeRow(row));
      this.rowsBox.replaceChildren(...this.views.map(({box}) => box));
    }
    for (const {row, box, buttons, title} of this.views) {
      box.classList.toggle("selected", sameRow(row, selected));
      box.classList.toggle("hidden", this.model.isHidden(row));
      title.textContent = this.title(row);
      buttons.remove?.setAttribute("aria-pressed", this.model.values.remove?.includes(row.layer) ?? false);
      buttons.solo?.setAttribute("aria-pressed", this.model.values.solo?.includes(row.layer) ?? false);
    }
    this.draw();
  }

  title({layer, index}) {
    if (layer === BACKGROUND) return "Background";
    const people = this.model.clip.people?.[layer - 1] ?? [layer];
    const count = entriesOf(this.model.values, layer).length, copy = count - 1 - index;
    return `${people.length > 1 ? "People" : "Person"} ${people.join(", ")}${copy ? `\ncopy ${copy}` : ""}`;
  }

  makeRow(row) {
    const [box, head, title, face, canvas] = ["div", "div", "button", "canvas", "canvas"].map((tag) =>
      document.createElement(tag));
    box.className = "row";
    box.dataset.row = rowName(row);
    head.className = "head";
    title.className = "title";
    face.className = "face";
    head.append(face, title);
    const buttons = {};
    if (row.layer !== BACKGROUND) {
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
    head.addEventListener("click", () => this.actions.select(row));
    box.append(head, canvas);
    this.makeDraggable(row, canvas);
    this.zoomedOn(canvas);
    return {row, box, title, face, canvas, buttons};
  }

  // ---- pins ---------------------------------------------------------------------------------------------------------

  // Those pins of the selected row that are picked, by pointer or keyboard, as far as they are still there.
  get picks() {
    const pins = this.model.pins(this.selected);
    return this.picked.filter((pin) => pins.some((other) => samePin(pin, other)));
  }

  pick(pins) {
    this.picked = pins;
    this.actions.picked();
  }

  // The pin before (-1) or after (1) what is picked, else the playhead.
  pickBeside(direction) {
    const {model, selected: row, picks} = this;
    const from = picks.length === 1 ? model.pinOutput(row, picks[0]) : this.frame;
    const pins = model.pins(row).map((pin) => [model.pinOutput(row, pin), pin]).filter(([output]) => output !== null);
    const beside = direction > 0 ? pins.find(([output]) => output > from) : pins.findLast(([output]) => output < from);
    if (!beside) return;
    this.pick([beside[1]]);
    this.actions.seek(beside[0]);
  }

  nudge(outputs, sources) {
    const {model, selected: row, picks} = this;
    if (!picks.length) return;
    const others = model.pins(row).filter((pin) => !picks.some((other) => samePin(pin, other)));
    this.pick(model.movePins(row, picks, outputs, sources, others));
    if (picks.length === 1) this.actions.seek(model.pinOutput(row, this.picks[0]) ?? this.frame);
  }

  // Output frames in which something stands that pins snap to: the playhead, pins, events, ends of what is rendered.
  landmarks(held) {
    const {model} = this, rows = model.rows(), [first, last] = model.values.range ?? [1, model.length];
    const pins = rows.flatMap((row) => model.pins(row).filter((pin) => !held.pins.includes(pin))
      .map((pin) => model.pinOutput(row, pin)));
    return [this.frame, first - 1, last - 1, ...pins, ...rows.map((row) => model.eventOutput(row))]
      .filter((output) => output !== null);
  }

  snapped(output, x, canvas, landmarks) {
    const near = landmarks.map((mark) => [Math.abs(this.x(mark, canvas) - x), mark]).sort((a, b) => a[0] - b[0]);
    return near.length && near[0][0] <= SNAP ? near[0][1] : output;
  }

  makeDraggable(row, canvas) {
    const {model} = this, merge = `drag ${rowName(row)}`;
    let held = null;
    const letGo = (picked) => {
      find("#readout").hidden = true;
      this.actions.select(row);  // not before: the row grows
      if (!held) return;
      this.pick(picked);
      if (held.moved) this.actions.seek(held.playhead);
    };
    dragged(canvas, {
      start: (event) => {
        held = this.hit(row, canvas, event);
        this.presses = [...this.presses.slice(-1), {row, held}];
        if (!held) return this.actions.seek(this.frameAt(event.offsetX, canvas));
        const picks = sameRow(row, this.selected) ? this.picks : [], add = event.shiftKey || event.ctrlKey;
        const isPicked = held.pin && picks.some((pin) => samePin(pin, held.pin));
        held.pins = !held.pin ? [model.pinAt(row, held.output, held.source)]
          : isPicked ? picks.filter((pin) => !add || !samePin(pin, held.pin)) : [...add ? picks : [], held.pin];
        // All of a drag is reckoned from its start: a pin that is passed over comes back.
        held.others = model.pins(row).filter((pin) => !held.pins.some((other) => samePin(pin, other)));
        Object.assign(held, {playhead: this.frame, landmarks: this.landmarks(held)});
      },
      move: (event, dx, dy) => {
        if (!held) return this.actions.seek(this.frameAt(event.offsetX, canvas));
        if ((Math.hypot(dx, dy) < 3 && !held.moved) || !held.pins.length) return;
        held.moved = true;
        if (event.shiftKey) [dx, dy] = Math.abs(dx) > Math.abs(dy) ? [dx, 0] : [0, dy];  // one axis alone
        let output = this.frameAt(held.x + dx, canvas);
        if (this.snaps && !event.altKey) output = this.snapped(output, held.x + dx, canvas, held.landmarks);
        const source = Math.round(this.sourceAt(held.y + dy, canvas));
        this.picked = model.movePins(row, held.pins, output - held.output, source - Math.round(held.source),
                                     held.others, merge);
        this.actions.seek(output);  // what is dragged is what is looked at
        this.readOut(row, output, event);
      },
      end: () => {
        model.endMerge();
        letGo(held?.moved ? this.picked : held?.pin ? held.pins : []);
      },
      cancel: () => {
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
    const speeds = [[output - 1, output], [output, output + 1]].map(([a, b]) => sourceTime(b) - sourceTime(a))
      .map((speed) => `${Math.round(100 * speed)} %`);
    const shown = at === null ? "nothing" : `frame ${nearest(at) + 1}`;
    box.textContent = `${shown} at ${output + 1} · ${speeds.join(" → ")}`;
    box.hidden = false;
    const around = box.parentElement.getBoundingClientRect();
    const x = Math.min(clientX - around.x + 14, around.width - box.offsetWidth - 4);
    box.style.transform = `translate(${x}px, ${Math.max(clientY - around.y - 30, 0)}px)`;
  }

  // Set a pin, or take it away, where the first press of a double-click was: by the second one the row may have grown.
  togglePin() {
    const [{row, held}] = this.presses, {model} = this;
    if (held?.pin) model.deletePins(row, [held.pin]);
    else if (held) model.setPin(row, held.output, model.instance(row).sourceTime(held.output) ?? 0);
    this.actions.select(row);
  }

  // The pin or the place on the curve under the pointer: {x, y, output, source, pin}.
  hit(row, canvas, {offsetX, offsetY}) {
    for (const pin of this.model.pins(row)) {
      const output = this.model.pinOutput(row, pin);
      if (output === null) continue;
      const [x, y] = [this.x(output, canvas), this.y(pin[1] - 1, canvas)];
      if (Math.hypot(x - offsetX, y - offsetY) <= REACH) return {x, y, output, source: pin[1] - 1, pin};
    }
    const instance = this.model.instance(row);
    let best = null, nearest = REACH;
    for (let dx = -REACH; dx <= REACH; dx += 1.5) {  // between frames, too
      const output = this.place(offsetX + dx, canvas), source = instance.sourceTime(output);
      if (source === null) continue;
      const distance = Math.hypot(this.x(output, canvas) - offsetX, this.y(source, canvas) - offsetY);
      if (distance < nearest) [best, nearest] = [Math.round(output), distance];
    }
    if (best === null) return null;
    const source = instance.sourceTime(best);
    return source === null ? null
      : {x: this.x(best, canvas), y: this.y(source, canvas), output: best, source, pin: null};
  }

  // ---- drawing ------------------------------------------------------------------------------------------------------

  draw() {
    const [first, last] = this.model.values.range ?? [1, this.model.length];
    this.drawRuler(first - 1, last - 1);
    if (this.sound.buffer) this.sound.draw(find("#sound canvas"), this);
    this.views.forEach((view) => this.drawRow(view));
    this.movePlayhead(this.frame);
  }

  drawRow({row, canvas, face}) {
    const {model} = this, context = prepared(canvas), instance = model.instance(row), {length, clip} = model;
    const {clientWidth: width, clientHeight: height} = canvas, colours = getComputedStyle(canvas);
    this.drawStrip(context, row, canvas, instance);
    const head = this.thumbnails.at(row.layer, clip.length / 2), headContext = prepared(face);
    if (head) drawInside(headContext, head, 0, 0, face.clientWidth, face.clientHeight, row.layer === BACKGROUND);

    if (row.layer !== BACKGROUND || model.entry(row).time) {  // as filmed, for comparison
      context.strokeStyle = colours.getPropertyValue("--line");
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
      const source = instance.sourceTime(Math.min(output, until));
      const [x, y] = [this.x(Math.min(output, until), canvas), this.y(source ?? 0, canvas)];
      if (source !== null) context[last === null ? "moveTo" : "lineTo"](x, y);
      last = source;
    }
    context.stroke();

    for (const pin of model.pins(row)) {
      const output = model.pinOutput(row, pin);
      if (output === null) continue;
      context.beginPath();
      context.arc(this.x(output, canvas), this.y(pin[1] - 1, canvas), 4.5, 0, 7);
      const isPicked = sameRow(row, this.selected) && this.picked.some((other) => samePin(pin, other));
      context.fillStyle = colours.getPropertyValue(isPicked ? "--event" : "--ground");
      context.fill();
      context.lineWidth = 2;
      context.stroke();
    }
    const output = model.eventOutput(row);
    if (output !== null) {
      context.fillStyle = colours.getPropertyValue("--event");
      const [x, y] = [this.x(output, canvas), this.y(instance.sourceTime(output), canvas)];
      context.beginPath();
      for (const [dx, dy] of [[0, -5], [5, 0], [0, 5], [-5, 0]]) context.lineTo(x + dx, y + dy);
      context.fill();
    }
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
