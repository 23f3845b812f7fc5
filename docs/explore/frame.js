"use strict";
// What all panels share: the engine, the state in the address, controls, plots, and the moment of redrawing.
//
// A panel is declared by reparam.panel(name, { ... }) and stands wherever a page has <div data-panel="name">.
// Its fields:
//   try, notice  the caption: what to do, and what to look for
//   state        the default state: numbers, arrays of numbers, and strings
//   controls     sliders, choices and buttons: see `controls` below
//   wasm         the engine that it needs, "engine" unless it says otherwise
//   inWorker     true if it starts the engine in a worker of its own: draw gets none
//   build(view)  makes its plots and handles, once
//   draw(view, state, engine)  computes with the engine and draws; called once for each change
const reparam = {
  panels: {},
  modules: {},
  /** The milliseconds that each redraw took, for the tests. */
  times: [],
  panel(name, declaration) {
    reparam.panels[name] = declaration;
    document.querySelectorAll(`[data-panel="${name}"]`).forEach((root) => new View(root, name, declaration));
  },
  /** Registers an engine: its WebAssembly, gzipped, in base64. */
  wasm(name, base64) {
    reparam.waiting(name).resolve(Engine.bytes(base64));
  },
  waiting(name) {
    if (!reparam.modules[name]) {
      let resolve;
      const bytes = new Promise((done) => (resolve = done));
      // Started when somebody first asks for it: a panel in a worker needs the bytes alone.
      let engine;
      reparam.modules[name] = { bytes, resolve, get engine() { return (engine ??= bytes.then((b) => Engine.start(b))); } };
    }
    return reparam.modules[name];
  },
};

/** The engine: functions of docs/explore/engine. It stands alone, so that a worker can be made of its text. */
class Engine {
  static async bytes(base64) {
    const text = atob(base64);
    const packed = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  static async start(bytes) {
    const engine = new Engine();
    engine.module = await WebAssembly.compile(bytes);
    await engine.restart();
    return engine;
  }

  /** A call that trapped leaves the engine unusable, so the next call has a new one. */
  async restart() {
    this.exports = (await WebAssembly.instantiate(this.module)).exports;
    this.exports.begin();
  }

  /** Calls a function with numbers; `input` are more numbers and `text` a string or bytes that it reads. Returns its
   *  answer, a Float64Array. An Error has the engine's message. */
  call(name, numbers, input, text) {
    const { exports } = this;
    if (input) {
      const at = exports.input(input.length);
      new Float64Array(exports.memory.buffer, at, input.length).set(input);
    }
    if (text !== undefined) {
      const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
      const at = exports.text(bytes.length);
      new Uint8Array(exports.memory.buffer, at, bytes.length).set(bytes);
    }
    try {
      const length = exports[name](...numbers);
      return new Float64Array(exports.memory.buffer, exports.output(), length).slice();
    } catch (trap) {
      const message = this.said() || String(trap);
      this.restart();
      throw new Error(message);
    }
  }

  /** The text that the last call left. */
  said() {
    const { exports } = this;
    return new TextDecoder().decode(new Uint8Array(exports.memory.buffer, exports.said(), exports.said_len()));
  }
}

/** Makes an element: its tag, its attributes (functions become listeners), its children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** A number for people: three significant digits, without an exponent where it can be. */
function short(x, digits = 3) {
  if (!Number.isFinite(x)) return String(x);
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x).replace("-", "−");
  const size = Math.abs(x);
  if (size < 1e-4 || size >= 1e6) return x.toExponential(digits - 1).replace("e-", "e−").replace("-", "−");
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return x.toFixed(Math.min(places, 6)).replace("-", "−");
}

/** A number for an axis, without the zeros at its end. */
function plain(x) {
  return short(x).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** The number of a range that is nearest to x. */
function clamp(x, low, high) {
  return Math.min(Math.max(x, low), high);
}

function mean(numbers) {
  return numbers.reduce((a, b) => a + b, 0) / numbers.length;
}

/** The point of a triangle that has these weights, of sum 1, at its corners. */
function mixture(corners, weights) {
  return [0, 1].map((axis) => corners.reduce((sum, corner, k) => sum + weights[k] * corner[axis], 0));
}

/** The probability of heads. */
function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/** The probabilities of logits. */
function softmax(x) {
  const most = Math.max(...x);
  const weights = x.map((x) => Math.exp(x - most));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

/** The end of an axis that reaches x: the next of some heads from 1 to 10 times a power of ten. */
function nice(x, heads) {
  const unit = 10 ** Math.floor(Math.log10(x));
  return unit * (heads.find((head) => head * unit >= x) ?? 10);
}

/** The states of all panels of the page, in the part of the address after #: name:key=value;key=value&name:... */
const address = {
  read(name) {
    const part = decodeURIComponent(location.hash.slice(1)).split("&").find((part) => part.startsWith(name + ":"));
    const entries = part ? part.slice(name.length + 1).split(";").filter(Boolean) : [];
    return Object.fromEntries(entries.map((entry) => entry.split("=")));
  },
  text(name, state, defaults) {
    const changed = Object.keys(state).filter((key) => String(state[key]) !== String(defaults[key]));
    return `${name}:${changed.map((key) => `${key}=${state[key]}`).join(";")}`;
  },
  with(name, text) {
    const others = decodeURIComponent(location.hash.slice(1)).split("&").filter((part) => part.includes(":") && !part.startsWith(name + ":"));
    return "#" + [...others, text].filter((part) => !part.endsWith(":")).join("&");
  },
};

/** A panel on a page. */
class View {
  constructor(root, name, declaration) {
    Object.assign(this, { root, name, declaration, plots: [], handles: [], shows: [], numbers: {} });
    this.state = this.stateFromAddress();
    root.classList.add("panel");
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", declaration.title ?? name);
    this.stage = make("div", { class: "stage" });
    this.readout = make("dl", { class: "readout" });
    this.trouble = make("p", { class: "trouble", role: "alert", hidden: true });
    this.controls = make("div", { class: "controls" });
    root.append(this.controls, this.stage, this.readout, this.trouble, this.footer(), this.caption());
    (declaration.controls ?? []).forEach((control) => this.controls.append(controls.make(this, control)));
    declaration.build?.(this);
    this.loading = make("p", { class: "loading" }, "The engine is loading …");
    this.stage.append(this.loading);
    const module = reparam.waiting(declaration.wasm ?? "engine");
    (declaration.inWorker ? module.bytes.then(() => undefined) : module.engine).then(
      (engine) => {
        this.engine = engine;
        this.loaded = true;
        this.loading.remove();
        this.redraw();
        root.dataset.ready = "";
      },
      (error) => this.fail(error),
    );
    new ResizeObserver(() => this.redraw()).observe(this.stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    addEventListener("hashchange", () => {
      this.state = this.stateFromAddress();
      this.redraw();
    });
  }

  /** The defaults, with the address's values where they have the same form. */
  stateFromAddress() {
    const state = structuredClone(this.declaration.state);
    for (const [key, text] of Object.entries(address.read(this.name))) {
      const usual = state[key];
      if (typeof usual === "string") {
        state[key] = text;
      } else if (usual !== undefined) {
        const numbers = text.split(",").map(Number);
        const fits = numbers.length === [].concat(usual).length && numbers.every(Number.isFinite);
        if (fits) state[key] = Array.isArray(usual) ? numbers : numbers[0];
      }
    }
    return this.declaration.check?.(state) ?? state;
  }

  caption() {
    const { try: what, notice } = this.declaration;
    return make("p", { class: "caption" }, make("b", {}, "Try: "), what, " ", make("b", {}, "Notice: "), notice);
  }

  footer() {
    const reset = () => this.set(structuredClone(this.declaration.state));
    this.link = make("a", { class: "link", href: "#" }, "Link to this state");
    return make("p", { class: "footer" }, make("button", { type: "button", click: reset, "data-reset": true }, "Reset"), " ", this.link);
  }

  /** Changes the state, and redraws before the next frame. */
  set(change) {
    Object.assign(this.state, change);
    history.replaceState(null, "", this.hash());
    this.redraw();
  }

  /** The part of the address that holds the present state. */
  hash() {
    return address.with(this.name, address.text(this.name, this.state, this.declaration.state));
  }

  redraw() {
    if (this.scheduled || !this.loaded) return;
    this.scheduled = requestAnimationFrame(() => {
      this.scheduled = undefined;
      this.drawNow();
    });
  }

  drawNow() {
    const begin = performance.now();
    try {
      this.trouble.hidden = true;
      this.plots.forEach((plot) => plot.clear());
      this.declaration.draw(this, this.state, this.engine);
      this.handles.forEach((handle) => handle.place());
      this.shows.forEach((show) => show(this.state));
    } catch (error) {
      this.fail(error);
    }
    this.link.href = this.hash();
    reparam.times.push(performance.now() - begin);
    this.root.dataset.draws = Number(this.root.dataset.draws ?? 0) + 1;
  }

  fail(error) {
    this.trouble.textContent = error.message;
    this.trouble.hidden = false;
    if (!(error instanceof Error) || error.name !== "Error") console.error(error);
  }

  /** Shows a named number. Its full value is in data-value, where the tests read it. `error` is a standard error, and
   *  `kind` names the colour: estimate, exact, third, fourth, or other for none. */
  number(name, label, value, error, kind = "estimate", text = typeof value === "number" ? short(value) : value) {
    let entry = this.numbers[name];
    if (!entry) {
      entry = this.numbers[name] = make("dd", { "data-number": name });
      this.readout.append(make("div", { class: kind }, make("dt", {}, label), entry));
    }
    const label_ = entry.previousSibling;
    if (label_.textContent !== label) label_.textContent = label;
    entry.dataset.value = value;
    if (error !== undefined) entry.dataset.error = error;
    entry.textContent = text + (error === undefined ? "" : ` ± ${short(error, 2)}`);
  }

  /** Adds a plot: see Plot. */
  plot(options) {
    const plot = new Plot(this, options);
    this.plots.push(plot);
    return plot;
  }
}

/** Controls: { slider: key, label, min, max, step, log, format } or { slider: key, label, values, format }, { choice: key, label, options: [[value, text], ...] },
 *  { check: key, label }, { button: label, key: "r", act(state, view) -> change }. */
const controls = {
  make(view, control) {
    if (control.slider) return controls.slider(view, control);
    if (control.choice) return controls.choice(view, control);
    if (control.check) return controls.check(view, control);
    return controls.button(view, control);
  },
  /** Shows the state in a control, now and after each change. */
  follow(view, show) {
    view.shows.push(show);
    show(view.state);
  },
  slider(view, control) {
    const { slider: key, label, values, log, format = short } = control;
    // A slider over given values moves from one to the next; others move by hundredths of their range.
    const nearest = (x) => values.reduce((best, v, i) => (Math.abs(v - x) < Math.abs(values[best] - x) ? i : best), 0);
    const [to, from] = values ? [nearest, (i) => values[i]] : log ? [Math.log10, (x) => 10 ** x] : [(x) => x, (x) => x];
    const [min, max] = values ? [0, values.length - 1] : [to(control.min), to(control.max)];
    const step = values ? 1 : (control.step ?? (max - min) / 100);
    const round = (x) => Number(x.toPrecision(6));
    const value = make("output");
    const input = make("input", {
      type: "range", min, max, step, "data-slider": key,
      input: () => view.set({ [key]: round(from(Number(input.value))) }),
    });
    controls.follow(view, (state) => {
      input.value = to(state[key]);
      value.textContent = format(state[key]);
      input.setAttribute("aria-valuetext", format(state[key]));
    });
    return make("label", { class: "slider" }, make("span", {}, label, " ", value), input);
  },
  choice(view, control) {
    const { choice: key, label, options } = control;
    const select = make(
      "select",
      { "data-choice": key, change: () => view.set({ [key]: typeof view.declaration.state[key] === "number" ? Number(select.value) : select.value }) },
      ...options.map(([value, text]) => make("option", { value }, text)),
    );
    controls.follow(view, (state) => (select.value = String(state[key])));
    return make("label", { class: "choice" }, make("span", {}, label), select);
  },
  check(view, control) {
    const { check: key, label } = control;
    const input = make("input", { type: "checkbox", "data-check": key, change: () => view.set({ [key]: input.checked ? 1 : 0 }) });
    controls.follow(view, (state) => (input.checked = state[key] === 1));
    return make("label", { class: "check" }, input, label);
  },
  button(view, control) {
    const press = () => view.set(control.act(view.state, view) ?? {});
    return make("button", { type: "button", "data-button": control.button, click: press }, control.button);
  },
};

/** A plot in data coordinates on a canvas, with handles that mouse, touch and keyboard move.
 *  Options: label (for readers who cannot see it), x and y: { from, to, log, title, ticks }, height or aspect, bare. */
class Plot {
  constructor(view, options) {
    Object.assign(this, { view, options });
    this.canvas = make("canvas", { role: "img", "aria-label": options.label });
    this.box = make("div", { class: "plot" }, this.canvas);
    view.stage.append(this.box);
    this.x = options.x ?? { from: 0, to: 1 };
    this.y = options.y ?? { from: 0, to: 1 };
  }

  /** Clears the canvas at the present size and theme. */
  clear() {
    const style = getComputedStyle(this.view.root);
    this.colour = (name) => style.getPropertyValue("--" + name).trim() || name;
    this.width = this.box.clientWidth;
    this.height = this.options.aspect ? Math.round(this.width * this.options.aspect) : (this.options.height ?? 240);
    if (this.options.most) this.height = Math.min(this.height, this.options.most);
    const ratio = window.devicePixelRatio || 1;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.pen = this.canvas.getContext("2d");
    this.pen.scale(ratio, ratio);
    const bare = this.options.bare;
    this.area = { left: bare ? 8 : 52, right: this.width - 12, top: 12, bottom: this.height - (bare ? 8 : this.x.title ? 44 : 28) };
    if (this.options.square) {
      const side = Math.min(this.area.right - this.area.left, this.area.bottom - this.area.top);
      this.area.left += (this.area.right - this.area.left - side) / 2;
      this.area.right = this.area.left + side;
      this.area.bottom = this.area.top + side;
    }
  }

  static along(axis, value, low, high) {
    const to = axis.log ? Math.log : (v) => v;
    return low + ((to(value) - to(axis.from)) / (to(axis.to) - to(axis.from))) * (high - low);
  }

  static back(axis, place, low, high) {
    const share = (place - low) / (high - low);
    if (!axis.log) return axis.from + share * (axis.to - axis.from);
    return Math.exp(Math.log(axis.from) + share * Math.log(axis.to / axis.from));
  }

  px(x) { return Plot.along(this.x, x, this.area.left, this.area.right); }
  py(y) { return Plot.along(this.y, y, this.area.bottom, this.area.top); }
  atX(px) { return Plot.back(this.x, px, this.area.left, this.area.right); }
  atY(py) { return Plot.back(this.y, py, this.area.bottom, this.area.top); }

  /** Axes with ticks, and titles. */
  axes() {
    const { left, right, top, bottom } = this.area;
    this.shape([[left, top], [left, bottom], [right, bottom]], { colour: "line" });
    for (const x of this.x.ticks ?? Plot.ticks(this.x, (right - left) / 70)) {
      this.shape([[this.px(x), bottom], [this.px(x), bottom + 4]], { colour: "line" });
      this.word(this.x.format?.(x) ?? plain(x), this.px(x), bottom + 17, { align: "center" });
    }
    for (const y of this.y.ticks ?? Plot.ticks(this.y, (bottom - top) / 45)) {
      this.shape([[left - 4, this.py(y)], [left, this.py(y)]], { colour: "line" });
      this.word(this.y.format?.(y) ?? plain(y), left - 7, this.py(y) + 4, { align: "right" });
    }
    if (this.x.title) this.word(this.x.title, right, bottom + 36, { align: "right" });
    if (this.y.title) this.word(this.y.title, left + 6, top + 6, { align: "left" });
  }

  static ticks(axis, most) {
    if (axis.log) {
      const ticks = [];
      for (let e = Math.ceil(Math.log10(axis.from) - 1e-9); e <= Math.log10(axis.to) + 1e-9; e++) ticks.push(10 ** e);
      return ticks;
    }
    const span = axis.to - axis.from;
    const rough = span / Math.max(most, 2);
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * unit).find((step) => step >= rough * 0.999);
    const ticks = [];
    for (let i = Math.ceil(axis.from / step - 1e-9); i * step <= axis.to + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
    return ticks;
  }

  /** A line through points [x, y] in data coordinates. Style: colour, width, dash, fill. */
  line(points, style = {}) {
    this.shape(points.map(([x, y]) => [this.px(x), this.py(y)]), style);
  }

  /** The same in pixels. */
  shape(points, { colour = "ink", width = 1, dash = [], fill, alpha = 1, close } = {}) {
    const { pen } = this;
    pen.save();
    pen.globalAlpha = alpha;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    pen.setLineDash(dash);
    pen.beginPath();
    points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    if (close) pen.closePath();
    if (fill) {
      pen.fillStyle = this.colour(fill);
      pen.fill();
    }
    if (colour !== "none") {
      pen.strokeStyle = this.colour(colour);
      pen.stroke();
    }
    pen.restore();
  }

  /** Dots at [x, y]. Style: colour, size, alpha. */
  dots(points, { colour = "estimate", size = 3, alpha = 1 } = {}) {
    const { pen } = this;
    pen.save();
    pen.globalAlpha = alpha;
    pen.fillStyle = this.colour(colour);
    for (const [x, y] of points) {
      const [px, py] = [this.px(x), this.py(y)];
      if (size < 2) {
        pen.fillRect(px - size / 2, py - size / 2, size, size);
      } else {
        pen.beginPath();
        pen.arc(px, py, size, 0, 7);
        pen.fill();
      }
    }
    pen.restore();
  }

  /** A bar from y = `base` to `y`, as wide as `width` in x. */
  bar(x, width, y, { base = 0, ...style } = {}) {
    const [l, r] = [x - width / 2, x + width / 2];
    this.line([[l, base], [l, y], [r, y], [r, base]], { close: true, fill: style.colour ?? "estimate", colour: "none", ...style.outline, alpha: style.alpha });
  }

  /** A diamond, the mark of an exact value, at data coordinates. */
  diamond(x, y, size = 5) {
    const [px, py] = [this.px(x), this.py(y)];
    this.shape([[px - size, py], [px, py - size - 1], [px + size, py], [px, py + size + 1]], { fill: "exact", colour: "exact", close: true });
  }

  /** A vertical error bar at x around y. */
  error(x, y, half, { colour = "estimate", width = 1.5 } = {}) {
    this.line([[x, y - half], [x, y + half]], { colour, width });
  }

  /** An arrow in data coordinates. */
  arrow(from, to, style = {}) {
    const [a, b] = [from, to].map(([x, y]) => [this.px(x), this.py(y)]);
    const angle = Math.atan2(b[1] - a[1], b[0] - a[0]);
    const tip = (turn) => [b[0] - 9 * Math.cos(angle + turn), b[1] - 9 * Math.sin(angle + turn)];
    this.shape([a, b], { width: 2, ...style });
    this.shape([tip(0.4), b, tip(-0.4)], { width: 2, ...style, dash: [] });
  }

  /** A word at data coordinates. */
  text(word, x, y, style = {}) {
    this.word(word, this.px(x) + (style.dx ?? 0), this.py(y) + (style.dy ?? 0), style);
  }

  /** The same in pixels. */
  word(word, px, py, { colour = "ink", align = "left", size = 13, bold = false } = {}) {
    const { pen } = this;
    pen.fillStyle = this.colour(colour);
    pen.font = `${bold ? "600 " : ""}${size}px system-ui, sans-serif`;
    pen.textAlign = align;
    pen.fillText(word, px, py);
  }

  /** A handle that is dragged, or moved by arrow keys (Page Up and Down: ten steps).
   *  Options: label, at(state) -> [x, y], move(state, x, y) -> change, step: [dx, dy] per key, value(state) -> text. */
  handle(options) {
    const handle = new Handle(this, options);
    this.view.handles.push(handle);
    return handle;
  }
}

/** The place on an axis, which may run either way, that is nearest to v. */
function within({ from, to }, v) {
  return clamp(v, Math.min(from, to), Math.max(from, to));
}

class Handle {
  constructor(plot, options) {
    Object.assign(this, { plot, options });
    this.knob = make("div", {
      class: "handle", role: "slider", tabindex: 0, "aria-label": options.label, "data-handle": options.name,
      keydown: (event) => this.press(event),
      pointerdown: (event) => this.grab(event),
      pointermove: (event) => this.drag(event),
      pointerup: () => (this.held = false),
      pointercancel: () => (this.held = false),
    });
    plot.box.append(this.knob);
  }

  place() {
    const { plot, options } = this;
    const state = plot.view.state;
    const [x, y] = options.at(state);
    this.knob.style.left = `${plot.px(x)}px`;
    this.knob.style.top = `${plot.py(y)}px`;
    const text = options.value?.(state) ?? `${short(x)}, ${short(y)}`;
    this.knob.setAttribute("aria-valuetext", text);
    this.knob.setAttribute("aria-valuenow", options.step?.[0] ? x : y);
    this.knob.title = `${options.label}: ${text}`;
  }

  grab(event) {
    this.held = true;
    this.knob.setPointerCapture(event.pointerId);
    this.knob.focus();
    event.preventDefault();
  }

  drag(event) {
    if (!this.held) return;
    const { plot, options } = this;
    const box = plot.box.getBoundingClientRect();
    const x = within(plot.x, plot.atX(event.clientX - box.left));
    const y = within(plot.y, plot.atY(event.clientY - box.top));
    plot.view.set(options.move(plot.view.state, x, y));
  }

  press(event) {
    const { plot, options } = this;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1], PageDown: [-10, -10], PageUp: [10, 10] }[event.key];
    if (!steps) return;
    const [dx, dy] = options.step ?? [0.1, 0.1];
    const [x, y] = options.at(plot.view.state);
    // A handle that moves one way only takes the keys of both ways.
    const [sx, sy] = [steps[0] || (dy ? 0 : steps[1]), steps[1] || (dx ? 0 : steps[0])];
    plot.view.set(options.move(plot.view.state, within(plot.x, x + sx * dx), within(plot.y, y + sy * dy)));
    event.preventDefault();
  }
}
