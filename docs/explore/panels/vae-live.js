"use strict";
// A VAE, live: a worker trains it, and the page shows what it writes for a code whose variables are flipped by hand.
(() => {
  const [CODES, CLASSES, SIDE] = [20, 10, 28];
  const PIXELS = SIDE * SIDE;
  const BATCH = 50;
  // Of the 500 digits that training never sees, the first 100 are the test after each 50 steps.
  const [HELD_OUT, TESTED, EVERY] = [500, 100, 50];
  // A variable with less KL than this, in nats, tells next to nothing about the image.
  const DEAD = 0.05;
  // The heights of a row and of a heading, and the width of a row's label, in pixels.
  const [ROW, HEAD, LABEL] = [20, 20, 24];
  // The sides of the digits, the space between them, and on their left for their frames, in pixels.
  const [BIG, SMALL, GAP, LEFT] = [5 * SIDE, 2 * SIDE, 4, 2];

  // A digit in its own size, before it is drawn larger.
  const scratch = { pen: make("canvas", { width: SIDE, height: SIDE }).getContext("2d"), data: new ImageData(SIDE, SIDE) };

  /** The program of the worker, which is made of its text: it answers one call of the engine after another, and trains
   *  between them. */
  function work(batch) {
    let engine, digits, tau = 0, losses = [], told = 0, waits = false;
    // A message to oneself comes after those that wait, without the delay of a timer.
    const turn = new MessageChannel();
    const next = () => {
      if (tau && !waits) turn.port2.postMessage((waits = true));
    };
    const tell = () => {
      postMessage({ losses });
      [losses, told] = [[], performance.now()];
    };
    turn.port1.onmessage = () => {
      waits = false;
      if (tau) losses.push(...engine.call("vae_train", [1, batch, tau]));
      if (performance.now() - told > 100) tell();
      next();
    };
    onmessage = ({ data }) => {
      if (data.wasm) {
        digits = data.digits;
        Engine.start(data.wasm).then((started) => {
          engine = started;
          postMessage({ ready: true });
        });
      } else if (data.name) {
        tell();
        postMessage({ answer: engine.call(data.name, data.numbers, data.input, data.name === "vae_begin" ? digits : undefined) });
      } else {
        tau = data.tau;
        next();
      }
    };
  }

  /** The VAE in its worker, as far as the page knows it. */
  class Live {
    constructor(view) {
      this.view = view;
      this.running = false;
      this.row = 0;
      this.flips = new Map();
      this.clear();
      const text = new Blob([`"use strict"; ${Engine} (${work})(${BATCH});`], { type: "text/javascript" });
      this.worker = new Worker(URL.createObjectURL(text));
      this.worker.onmessage = ({ data }) => this.hear(data);
      this.worker.onerror = ({ message }) => {
        this.broken = new Error(message);
        view.redraw();
      };
      const given = [reparam.waiting("vae").bytes, Engine.bytes(reparam.digits)];
      Promise.all(given).then(([wasm, digits]) => this.worker.postMessage({ wasm, digits }));
    }

    clear() {
      Object.assign(this, { losses: [], tests: [], image: undefined, ten: undefined });
    }

    toggle() {
      this.running = !this.running;
    }

    /** Begins again, untrained. */
    reset() {
      this.settings = undefined;
      this.view.redraw();
    }

    hear({ ready, losses, answer }) {
      if (ready) this.ready = true;
      if (losses) this.losses.push(...losses);
      if (answer) {
        const { heard } = this.asked;
        this.asked = undefined;
        heard(answer);
      }
      this.view.redraw();
    }

    /** Asks the worker for the first answer that is missing, and tells it whether to train. */
    follow(state) {
      this.view.root.setAttribute("aria-busy", true);
      if (!this.ready) return;
      if (!this.asked) {
        this.asked = this.missing(state);
        const { name, numbers, input } = this.asked ?? {};
        if (name) this.worker.postMessage({ name, numbers, input });
      }
      this.view.root.setAttribute("aria-busy", Boolean(this.asked));
      const tau = this.running && !document.hidden ? state.tau : 0;
      if (tau !== this.tau) this.worker.postMessage({ tau });
      this.tau = tau;
    }

    /** The next call of the engine, and what follows from its answer. */
    missing({ hidden, rate, tau, image, draw, seed }) {
      const settings = [hidden, rate, seed].join();
      if (settings !== this.settings) {
        this.running = false;
        const heard = () => {
          this.clear();
          this.settings = settings;
        };
        return { name: "vae_begin", numbers: [hidden, rate, HELD_OUT, seed], heard };
      }
      const [step, last] = [this.losses.length, this.tests.at(-1)];
      if (last?.tau !== tau || step - last.step >= (this.running ? EVERY : 1)) {
        return { name: "vae_test", numbers: [TESTED, tau, seed], heard: (answer) => this.tested(tau, answer) };
      }
      const of = [image, draw].join();
      if (this.image?.of !== of || this.image.step !== last.step) {
        return { name: "vae_encode", numbers: [image, draw], heard: (answer) => this.encoded(of, last.step, answer) };
      }
      const { row } = this;
      const others = this.code().with(row, -1);
      const key = [last.step, ...others].join();
      if (this.ten?.key !== key) {
        const input = Array.from({ length: CLASSES }, (_, k) => others.with(row, k)).flat();
        return { name: "vae_decode", numbers: [], input, heard: (pictures) => (this.ten = { key, row, pictures }) };
      }
    }

    tested(tau, [hard, relaxed, error, ...kl]) {
      // The losses that came before this answer are those of the steps before the test.
      const step = this.losses.length;
      this.tests = this.tests.filter((test) => test.step < step);
      this.tests.push({ step, tau, hard, relaxed, error, kl });
    }

    encoded(of, step, answer) {
      if (this.image?.of !== of) this.flips.clear();
      const ends = [0, PIXELS, PIXELS + CODES * CLASSES, PIXELS + CODES * CLASSES + CODES];
      const [pixels, q, sample, decoded] = ends.map((end, i) => answer.subarray(end, ends[i + 1]));
      this.image = { of, step, pixels, q, sample: Array.from(sample), decoded };
    }

    /** The class of each variable: the sample's, or the flipped one. */
    code() {
      return this.image.sample.map((k, row) => this.flips.get(row) ?? k);
    }

    /** Chooses a row, and gives it a class. */
    flip(row, k = this.code()[row]) {
      this.row = row;
      if (k === this.image.sample[row]) this.flips.delete(row);
      else this.flips.set(row, k);
      this.view.redraw();
    }

    /** The digit decoded from the present code. */
    picture() {
      return tenth(this.ten.pictures, this.code()[this.ten.row]);
    }
  }

  /** One of the pictures of an answer. */
  function tenth(pictures, k) {
    return pictures.subarray(k * PIXELS, (k + 1) * PIXELS);
  }

  reparam.panel("vae-live", {
    title: "A VAE, live",
    wasm: "vae",
    inWorker: true,
    try: "press Train, and pause after half a minute. Choose a variable with a long bar and change its class with the left and right keys, or click another cell or one of the ten small digits. Then raise the temperature to 2 and train on. To see variables die, set temperature 1 and learning rate 0.03, which begins again, and train.",
    notice:
      "at first all variables are dead: q(z | x) is the prior, and every digit is decoded to the mean image. After about 100 steps they come to life. The relaxed objective falls below the hard −ELBO, because the decoder learns from soft samples, which it never sees in the test. At temperature 2 the gap opens: the objective improves, and the hard −ELBO gets worse.",
    state: { hidden: 64, rate: 0.003, tau: 0.5, image: 0, draw: 1, seed: 1 },
    check: (state) => ({
      hidden: state.hidden === 0 ? 0 : 64,
      rate: clamp(state.rate, 0.0001, 0.1),
      tau: clamp(state.tau, 0.1, 5),
      image: Math.round(clamp(state.image, 0, HELD_OUT - 1)),
      draw: Math.round(clamp(state.draw, 0, 1e6)),
      seed: Math.round(clamp(state.seed, 0, 1e6)),
    }),
    controls: [
      { button: "Train", act: (_, view) => view.live.toggle() },
      { slider: "tau", label: "temperature τ", values: [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5], format: plain },
      { slider: "image", label: "test digit", min: 0, max: HELD_OUT - 1, step: 1 },
      { choice: "hidden", label: "hidden units", options: [[64, "64 on either side"], [0, "none"]] },
      { choice: "rate", label: "learning rate", options: [0.001, 0.003, 0.01, 0.03].map((rate) => [rate, String(rate)]) },
      { button: "Sample the code again", act: (state) => ({ draw: state.draw + 1 }) },
      { button: "Other first weights", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      view.live = new Live(view);
      view.curve = view.plot({
        label: "The training objective with relaxed samples, and −ELBO with hard samples on test digits, against training steps",
        x: { from: 0, to: 200, title: "training steps" },
        y: { from: 180, to: 220, title: "nats per digit" },
        height: 240,
      });
      const half = (label, height) => {
        const plot = view.plot({ label, bare: true, height });
        plot.box.classList.add("half");
        return plot;
      };
      view.pictures = half("A test digit, the digit decoded from its code, and the digits that one variable's ten classes would give", 2 * HEAD + BIG + 2 * (SMALL + HEAD) + 16);
      view.pictures.box.addEventListener("pointerdown", (event) => choosePicture(view, event));
      view.code = half("q(z | x) of the 20 variables, the class of each, and its KL", HEAD + CODES * ROW + 4);
      view.rows = Array.from({ length: CODES }, (_, row) => makeRow(view, row));
      view.code.box.append(...view.rows);
      const train = view.root.querySelector("[data-button=Train]");
      view.shows.push(() => (train.textContent = view.live.running ? "Pause" : "Train"));
      view.root.querySelector("[data-reset]").addEventListener("click", () => view.live.reset());
      document.addEventListener("visibilitychange", () => view.live.follow(view.state));
    },

    draw(view, state) {
      const { live } = view;
      if (live.broken) throw live.broken;
      live.follow(state);
      drawCurve(view.curve, live);
      if (live.ten) {
        drawPictures(view.pictures, live);
        drawCode(view, live);
      }
      showNumbers(view, live);
    },
  });

  /** A variable's row in the grid: left and right change its class, up and down go to another row. */
  function makeRow(view, row) {
    const { live, code } = view;
    const choose = (event) => {
      const k = Math.floor((event.clientX - code.box.getBoundingClientRect().left - LABEL) / cell(code));
      if (live.ten) live.flip(row, k >= 0 && k < CLASSES ? k : undefined);
    };
    return make("div", {
      role: "slider", tabindex: row ? -1 : 0, "data-row": row, "aria-label": `variable ${row + 1}`,
      "aria-valuemin": 0, "aria-valuemax": CLASSES - 1,
      style: `position: absolute; left: 0; right: 0; top: ${HEAD + row * ROW}px; height: ${ROW}px; cursor: pointer; touch-action: pan-y`,
      keydown: (event) => pressed(view, row, event),
      pointerdown: choose, pointermove: (event) => event.buttons && live.row === row && choose(event),
    });
  }

  function pressed(view, row, event) {
    const { live } = view;
    if (!live.ten) return;
    const k = live.code()[row];
    const to = { ArrowLeft: [row, k - 1], ArrowRight: [row, k + 1], ArrowUp: [row - 1], ArrowDown: [row + 1], Home: [0], End: [CODES - 1] }[event.key];
    if (!to) return;
    event.preventDefault();
    const next = clamp(to[0], 0, CODES - 1);
    live.flip(next, to[1] === undefined ? undefined : clamp(to[1], 0, CLASSES - 1));
    view.rows[next].focus();
  }

  /** A click on one of the ten small digits chooses its class. */
  function choosePicture(view, event) {
    const { live } = view;
    const box = view.pictures.box.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const under = (k) => x >= place(k)[0] && x < place(k)[0] + SMALL && y >= place(k)[1] && y < place(k)[1] + SMALL + HEAD;
    const k = Array.from({ length: CLASSES }, (_, k) => k).findIndex(under);
    if (live.ten && k >= 0) live.flip(live.ten.row, k);
  }

  function drawCurve(plot, live) {
    const { losses, tests } = live;
    const all = tests.flatMap((test) => [test.hard, test.relaxed]);
    // The number of the last tick needs some room on its right.
    plot.x.to = 1.03 * nice(Math.max(losses.length, 200), [1, 2, 5, 10]);
    plot.y.from = 20 * Math.floor(Math.min(180, ...all) / 20);
    plot.y.to = 20 * Math.ceil(Math.max(220, ...all) / 20);
    plot.axes();
    const { right, top } = plot.area;
    plot.word("hard −ELBO", right, top + 6, { colour: "fourth", align: "right" });
    plot.word("relaxed objective", right, top + 24, { colour: "estimate", align: "right" });
    plot.word("thin: training", right, top + 42, { colour: "soft", align: "right" });
    plot.line(binned(losses).map(([x, y]) => [x, clamp(y, plot.y.from, plot.y.to)]), { colour: "estimate", alpha: 0.5 });
    plot.line(tests.map((test) => [test.step, test.relaxed]), { colour: "estimate", width: 2 });
    plot.line(tests.map((test) => [test.step, test.hard]), { colour: "fourth", width: 2, dash: [10, 3] });
    const last = tests.at(-1);
    if (!last) return;
    plot.line([[last.step, last.hard], [last.step, last.relaxed]], { colour: "soft", dash: [2, 3] });
    plot.dots([[last.step, last.relaxed]], { size: 4 });
    plot.dots([[last.step, last.hard]], { size: 4, colour: "fourth" });
  }

  /** At most 200 points: means of as many neighbouring steps as that takes. */
  function binned(losses) {
    const width = Math.max(5, Math.ceil(losses.length / 200));
    const bins = Math.floor(losses.length / width);
    return Array.from({ length: bins }, (_, i) => [(i + 0.5) * width, mean(losses.slice(i * width, (i + 1) * width))]);
  }

  function drawPictures(plot, live) {
    const { image, ten } = live;
    plot.word("test digit", LEFT, 14);
    plot.word("decoded code", LEFT + BIG + 2 * GAP, 14);
    paint(plot, image.pixels, LEFT, HEAD, BIG);
    paint(plot, live.picture(), LEFT + BIG + 2 * GAP, HEAD, BIG);
    plot.word(`variable ${ten.row + 1}: each class, and its q`, LEFT, HEAD + BIG + 20);
    const chosen = live.code()[ten.row];
    for (let k = 0; k < CLASSES; k++) {
      const [x, y] = place(k);
      paint(plot, tenth(ten.pictures, k), x, y, SMALL, k === chosen);
      plot.word(`${k}: ${image.q[ten.row * CLASSES + k].toFixed(2)}`, x + SMALL / 2, y + SMALL + 14, { align: "center", size: 12, bold: k === chosen });
    }
  }

  /** The place of the small digit of class k, in pixels. */
  function place(k) {
    return [LEFT + (k % 5) * (SMALL + GAP), 2 * HEAD + BIG + 8 + Math.floor(k / 5) * (SMALL + HEAD)];
  }

  /** Paints a digit in ink on the page's colour, in a frame that is thick if it is the chosen one. */
  function paint(plot, pixels, x, y, side, chosen) {
    const ink = plot.colour("ink");
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(ink.slice(at, at + 2), 16));
    pixels.forEach((p, i) => scratch.data.data.set([red, green, blue, 255 * p], 4 * i));
    scratch.pen.putImageData(scratch.data, 0, 0);
    plot.shape(square(x, y, side, side), { fill: "page", colour: "none" });
    plot.pen.imageSmoothingEnabled = false;
    plot.pen.drawImage(scratch.pen.canvas, x, y, side, side);
    plot.shape(square(x, y, side, side), { colour: chosen ? "ink" : "line", width: chosen ? 3 : 1, close: true });
  }

  function square(x, y, width, height) {
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
  }

  /** The width of a cell of the grid, in pixels. */
  function cell(plot) {
    return Math.min(22, Math.floor((plot.width - 130) / CLASSES));
  }

  function drawCode(view, live) {
    const plot = view.code;
    const width = cell(plot);
    const [from, to] = [LABEL + CLASSES * width + 10, plot.width - 40];
    for (let k = 0; k < CLASSES; k++) plot.word(String(k), LABEL + (k + 0.5) * width, 14, { align: "center", size: 12, colour: "soft" });
    plot.word("KL", from, 14, { size: 12 });
    plot.word("ln 10", to, 14, { size: 12, colour: "exact", align: "center" });
    shade(plot, live.image.q, width);
    const code = live.code();
    const { kl } = live.tests.at(-1);
    view.rows.forEach((row, r) => {
      row.tabIndex = r === live.row ? 0 : -1;
      row.setAttribute("aria-valuenow", code[r]);
      row.setAttribute("aria-valuetext", `class ${code[r]}, KL ${short(kl[r], 2)} nats${kl[r] < DEAD ? ", dead" : ""}`);
      const y = HEAD + r * ROW;
      plot.word(String(r + 1), LABEL - 5, y + 15, { align: "right", size: 12, bold: r === live.row });
      mark(plot, r, live.image.sample[r], width, live.flips.has(r) ? { colour: "soft", width: 1.5, dash: [2, 2] } : { width: 2.5 });
      if (live.flips.has(r)) mark(plot, r, live.flips.get(r), width, { colour: "fourth", width: 3 });
      const end = from + (to - from) * Math.min(kl[r] / Math.log(CLASSES), 1);
      plot.shape(square(from, y + 4, end - from, ROW - 8), { fill: "estimate", colour: "estimate", close: true });
      plot.word(kl[r] < DEAD ? "dead" : kl[r].toFixed(2), plot.width, y + 15, { align: "right", size: 12, bold: kl[r] < DEAD });
    });
    plot.shape([[to, HEAD], [to, HEAD + CODES * ROW]], { colour: "exact", width: 1.5, dash: [6, 4] });
    plot.shape(square(1, HEAD + live.row * ROW, LABEL + CLASSES * width - 1, ROW), { colour: "soft", close: true });
  }

  /** Shades each cell by its probability. */
  function shade(plot, q, width) {
    const { pen } = plot;
    const boxes = Array.from(q, (_, i) => [LABEL + (i % CLASSES) * width + 1, HEAD + Math.floor(i / CLASSES) * ROW + 1, width - 2, ROW - 2]);
    pen.fillStyle = plot.colour("faint");
    boxes.forEach((box) => pen.fillRect(...box));
    pen.fillStyle = plot.colour("page");
    boxes.forEach(([x, y, width, height]) => pen.fillRect(x + 1, y + 1, width - 2, height - 2));
    pen.fillStyle = plot.colour("estimate");
    boxes.forEach((box, i) => {
      pen.globalAlpha = q[i];
      pen.fillRect(...box);
    });
    pen.globalAlpha = 1;
  }

  /** Frames the cell of a class. */
  function mark(plot, row, k, width, style) {
    plot.shape(square(LABEL + k * width + 2, HEAD + row * ROW + 2, width - 4, ROW - 4), { ...style, close: true });
  }

  function showNumbers(view, live) {
    const { losses, tests, image, ten } = live;
    view.number("steps", "steps", losses.length, undefined, "other");
    const loss = mean(losses.slice(-EVERY));
    view.number("loss", `relaxed, training, last ${EVERY} steps`, loss, undefined, "estimate", losses.length ? undefined : "–");
    if (!ten) return;
    const { hard, relaxed, error, kl } = tests.at(-1);
    view.number("relaxed", "relaxed, test", relaxed);
    view.number("hard", "hard −ELBO, test", hard, undefined, "fourth");
    view.number("gap", "gap, hard − relaxed", hard - relaxed, error, "other");
    view.number("kl", "KL, all variables", kl.reduce((a, b) => a + b), undefined, "exact");
    view.number("dead", `dead variables, below ${DEAD} nats`, kl.filter((kl) => kl < DEAD).length, undefined, "exact");
    view.number("flipped", "variables flipped", live.flips.size, undefined, "other");
    const moved = live.picture().reduce((sum, p, i) => sum + Math.abs(p - image.decoded[i]), 0);
    view.number("moved", "pixels that this changes", live.flips.size && moved, undefined, "other");
  }
})();
