"use strict";
// Dartboard: estimates of the gradient of three classes' logits, as darts around the exact gradient.
(() => {
  const names = ["A", "B", "C"];
  const prices = [3, 1, 2];
  // Where a unit of each class lies in the plane of the darts: the axes are (1, -1, 0) / √2 and (1, 1, -2) / √6.
  const corners = [[1 / Math.SQRT2, 1 / Math.sqrt(6)], [-1 / Math.SQRT2, 1 / Math.sqrt(6)], [0, -2 / Math.sqrt(6)]];
  // The last number is the most estimates in one redraw, which keeps a redraw short.
  const estimators = [
    ["st-softmax:1", "straight-through", 6000],
    ["st-gumbel-softmax:1", "ST Gumbel-Softmax, τ = 1", 6000],
    ["gumbel-softmax:1", "Gumbel-Softmax, τ = 1", 6000],
    ["gumbel-softmax:0.5", "Gumbel-Softmax, τ = 0.5", 6000],
    ["gumbel-softmax:0.1", "Gumbel-Softmax, τ = 0.1", 6000],
    ["reinmax:1", "ReinMax", 4000],
    ["score-function", "REINFORCE", 6000],
    ["rloo:4", "leave-one-out, 4 samples", 2000],
    ["unordered-set:2", "2 without replacement", 1500],
  ];
  // The darts that are drawn at most, and the half-widths that the board can have.
  const DARTS = 600;
  const EDGES = [1.2, 2.4, 4.8];

  reparam.panel("dartboard", {
    title: "Dartboard",
    try: "compare REINFORCE with Gumbel-Softmax at τ = 1, first with 1 estimate per dart, then with 64. Then choose straight-through, and drag the bend to 0.",
    notice:
      "with 1, unbiased REINFORCE misses by several times as much. With 64, both have about the same rms error, but REINFORCE's is spread and Gumbel-Softmax's is mostly length, which a step size corrects. The price is f · z + bend · (1 − |z|²). The bend curves it between the classes and is 0 at each of them, so the exact gradient ignores it. Without it, straight-through is exact.",
    state: { x: [1, 0, 0.5], estimator: "st-softmax:1", batch: 8, equal: 0, bend: 1, seed: 1 },
    check: (state) => ({
      x: state.x.map((x) => clamp(x, -4, 4)),
      estimator: estimators.some(([name]) => name === state.estimator) ? state.estimator : "st-softmax:1",
      batch: Math.round(clamp(state.batch, 1, 64)),
      equal: state.equal === 1 ? 1 : 0,
      bend: clamp(state.bend, -2, 2),
      seed: Math.round(clamp(state.seed, 0, 1e6)),
    }),
    controls: [
      { choice: "estimator", label: "estimator", options: estimators },
      { slider: "batch", label: "estimates per dart", values: [1, 2, 4, 8, 16, 32, 64] },
      { slider: "bend", label: "bend between the classes", min: -2, max: 2, step: 0.1 },
      { check: "equal", label: "equal evaluations" },
      { button: "Redraw", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      view.board = view.plot({
        label: "Estimates of the gradient as points in the plane, with their mean and the exact gradient as arrows",
        aspect: 1, most: 380, bare: true, square: true,
      });
      view.simplex = view.plot({
        label: "The probabilities of the three classes as a point in a triangle",
        x: { from: -0.95, to: 0.95 },
        y: { from: -1.15, to: 0.75 },
        aspect: 0.9, most: 250, bare: true, square: true,
      });
      view.board.box.style.flexBasis = "20rem";
      view.simplex.box.style.flexBasis = "11rem";
      view.simplex.handle({
        name: "p",
        label: "probabilities of the classes",
        at: (state) => mixture(corners, softmax(state.x)),
        move: (state, x, y) => ({ x: logits(x, y) }),
        step: [0.03, 0.03],
        value: (state) => softmax(state.x).map((p, k) => `${names[k]} ${p.toFixed(2)}`).join(", "),
      });
    },

    draw(view, state, engine) {
      const most = estimators.find(([name]) => name === state.estimator)[2];
      const count = Math.min(Math.floor(most / state.batch), 2000);
      const numbers = [...state.x, ...prices, state.bend];
      const found = engine.call("darts", [state.batch, state.equal, state.seed, count], numbers, state.estimator);
      const [evaluations, batch, ex, ey] = found;
      const darts = found.subarray(4);
      const s = statistics(darts, [ex, ey]);

      drawBoard(view.board, darts, s, [ex, ey]);
      drawSimplex(view.simplex, softmax(state.x));

      view.number("exact", "length of the exact gradient", Math.hypot(ex, ey), undefined, "exact");
      view.number("length", "length of mean / exact", s.length, rounded(s.lengthError));
      view.number("angle", "angle, degrees", rounded(s.angle), rounded(s.angleError));
      view.number("spread", "spread (rms)", rounded(s.spread));
      view.number("error", "rms error", rounded(s.error));
      view.number("best", "rms error at the best step size", rounded(s.best));
      view.number("estimates", "estimates per dart", batch);
      view.number("evaluations", "evaluations per dart", evaluations * batch);
      view.number("darts", "darts", count);
    },
  });

  /** The estimates are of single precision: what is left of a 0 is shown as 0. */
  function rounded(x) {
    return Math.abs(x) < 1e-5 ? 0 : x;
  }

  function drawBoard(plot, darts, s, exact) {
    const { left, right, top, bottom } = plot.area;
    const ring = (r) => Array.from({ length: 73 }, (_, i) => [r * Math.cos((i * Math.PI) / 36), r * Math.sin((i * Math.PI) / 36)]);
    const edge = EDGES.find((edge) => share(darts, edge) < 0.02) ?? EDGES.at(-1);
    plot.x = plot.y = { from: -edge, to: edge };
    const unit = edge / 1.2;
    for (const r of [0.25, 0.5, 0.75, 1]) plot.line(ring(r * unit), { colour: "faint" });
    for (const r of [0.5 * unit, unit]) plot.text(String(r), r * Math.cos(-1), r * Math.sin(-1), { colour: "soft", size: 12, align: "center", dy: 4 });
    corners.forEach(([x, y], k) => {
      const size = Math.hypot(x, y) / unit;
      plot.line([[0, 0], [x / size, y / size]], { colour: "faint" });
      plot.text(names[k], (1.1 * x) / size, (1.1 * y) / size, { align: "center", colour: "soft", dy: 5 });
    });
    const points = Array.from({ length: Math.min(DARTS, darts.length / 2) }, (_, i) => [darts[2 * i], darts[2 * i + 1]]);
    const outside = share(darts, edge);
    plot.dots(points.filter(([x, y]) => Math.max(Math.abs(x), Math.abs(y)) < edge), { size: 2.5, alpha: 0.25 });
    plot.arrow([0, 0], s.mean, { colour: "panel", width: 7 });
    plot.arrow([0, 0], exact, { colour: "panel", width: 6 });
    plot.arrow([0, 0], s.mean, { colour: "estimate", width: 3 });
    plot.arrow([0, 0], exact, { colour: "exact", width: 2.5, dash: [5, 3] });
    plot.word("mean of darts", left, top + 6, { colour: "estimate" });
    plot.word("exact gradient", right, top + 6, { colour: "exact", align: "right" });
    if (outside) plot.word(`${short(100 * outside, 2)} % land outside`, right, bottom - 2, { align: "right", size: 12, colour: "soft" });
  }

  /** The share of the darts that land outside a board. */
  function share(darts, edge) {
    let outside = 0;
    for (let i = 0; i < darts.length; i += 2) outside += Math.max(Math.abs(darts[i]), Math.abs(darts[i + 1])) >= edge;
    return (2 * outside) / darts.length;
  }

  function drawSimplex(plot, p) {
    plot.line(corners, { close: true, colour: "line" });
    corners.forEach(([x, y], k) => {
      const label = `${names[k]}: price ${prices[k]}`;
      plot.text(label, x, y, { align: k === 0 ? "right" : k === 1 ? "left" : "center", size: 12, dy: k === 2 ? 16 : -8, dx: [14, -14, 0][k] });
    });
    const at = mixture(corners, p);
    corners.forEach((corner) => plot.line([corner, at], { colour: "faint" }));
  }

  /** Of the darts: their mean, its length and angle beside the exact gradient, their spread, and their error. */
  function statistics(darts, [ex, ey]) {
    const n = darts.length / 2;
    let [mx, my] = [0, 0];
    for (let i = 0; i < darts.length; i += 2) {
      mx += darts[i] / n;
      my += darts[i + 1] / n;
    }
    const mean = [mx, my];
    const [size, exact] = [Math.hypot(mx, my), Math.hypot(ex, ey)];
    // The variances along the mean and across it.
    let [along, across] = [0, 0];
    for (let i = 0; i < darts.length; i += 2) {
      const [dx, dy] = [darts[i] - mx, darts[i + 1] - my];
      along += ((dx * mx + dy * my) / size) ** 2 / n;
      across += ((dy * mx - dx * my) / size) ** 2 / n;
    }
    const variance = along + across;
    const degrees = 180 / Math.PI;
    const bias2 = (mx - ex) ** 2 + (my - ey) ** 2;
    const dot = mx * ex + my * ey;
    return {
      mean,
      length: size / exact,
      lengthError: Math.sqrt(along / n) / exact,
      angle: Math.atan2(ex * my - ey * mx, dot) * degrees,
      angleError: (Math.sqrt(across / n) / size) * degrees,
      spread: Math.sqrt(variance),
      error: Math.sqrt(bias2 + variance),
      // The least over a of E |a dart - exact|^2, for a >= 0.
      best: Math.sqrt(Math.max(0, exact ** 2 - Math.max(0, dot) ** 2 / (size ** 2 + variance))),
    };
  }

  /** The logits of the probabilities at a place, which moves into the triangle if it lies outside. */
  function logits(x, y) {
    const inside = corners.map(([cx, cy]) => Math.max(0.02, 1 / 3 + x * cx + y * cy));
    const ln = inside.map(Math.log);
    const middle = ln.reduce((a, b) => a + b) / 3;
    return ln.map((x) => Number((x - middle).toFixed(2)));
  }
})();
