"use strict";
// A baseline: the mean of the score-function estimates stands still as c moves; their variance is a parabola in c.
(() => {
  const sizes = [500, 1000, 2000, 5000, 10000, 20000];

  reparam.panel("baseline", {
    title: "Baseline",
    try: "drag c from 0 to the best constant, then on to the mean loss. Set the logit to 3. Add 100 to the loss, and compare c = 0 with c near the prices.",
    notice:
      "the mean stays at the exact gradient for every c, within its error. Only the variance changes. Adding 100 moves the parabola by 100 and keeps its shape, so without a baseline the estimate becomes useless.",
    state: { logit: 1, f: [1, 3], c: 0, n: 2000, seed: 1 },
    check(state) {
      state.logit = clamp(state.logit, -4, 4);
      state.f = state.f.map((f) => clamp(f, -1000, 1000));
      state.c = clamp(state.c, -2000, 2000);
      state.n = sizes.includes(state.n) ? state.n : 2000;
      state.seed = clamp(Math.round(state.seed), 0, 1e9);
      return state;
    },
    controls: [
      { slider: "logit", label: "logit", min: -4, max: 4, step: 0.1, format: plain },
      { slider: "n", label: "draws", values: sizes },
      { button: "Add 100 to the loss", act: ({ f }) => (Math.max(...f) <= 900 ? { f: f.map((f) => f + 100) } : {}) },
      { button: "No baseline (c = 0)", act: () => ({ c: 0 }) },
      { button: "Draw again", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      const move = (state, x) => ({ c: Number(x.toFixed(2)) });
      view.parabola = view.plot({
        label: "The variance of one estimate against the constant c: the exact parabola, and the variance of the draws at this c",
        x: { from: -1, to: 5 },
        y: { from: 0, to: 2.6, title: "variance of one estimate" },
        height: 230,
      });
      view.mean = view.plot({
        label: "The mean of the estimates at this c, with its standard error, beside the exact gradient",
        x: { from: -1, to: 5, title: "constant c, subtracted from the loss" },
        y: { from: 0, to: 1, title: "mean estimate ± standard error", format: (y) => y.toFixed(2).replace("-", "−") },
        height: 190,
      });
      view.parabola.handle({
        name: "c",
        label: "constant c",
        at: (state) => [within(view.parabola.x, state.c), 0],
        move,
        step: [0.1, 0],
        value: (state) => short(state.c),
      });
    },

    draw(view, state, engine) {
      const { logit, f, c, n, seed } = state;
      const [exact, mean, error, variance, exactVariance, best, atBest, loss, tails, heads] = engine.call("baseline", [logit, seed, n], [...f, c]);
      // The exact variance is a parabola in c, whose lowest point the engine knows.
      const p = sigmoid(logit);
      const varianceAt = (c) => atBest + p * (1 - p) * (c - best) ** 2;
      const size = Math.max(Math.abs(f[1] - f[0]), 0.5);
      const middle = (f[0] + f[1]) / 2;
      for (const plot of [view.parabola, view.mean]) [plot.x.from, plot.x.to] = [middle - 1.5 * size, middle + 1.5 * size];
      view.parabola.y.to = 0.65 * size ** 2;
      [view.mean.y.from, view.mean.y.to] = [exact - 0.06 * size, exact + 0.06 * size];
      view.mean.y.ticks = [-0.05, 0, 0.05].map((part) => exact + part * size);
      const shown = c >= view.parabola.x.from && c <= view.parabola.x.to;

      parabola(view.parabola, varianceAt, [["best c", best], ["mean loss", loss]]);
      const outside = c < view.parabola.x.from ? `← c = ${c}, variance ${short(variance)}` : `c = ${c}, variance ${short(variance)} →`;
      if (shown) {
        view.parabola.line([[c, 0], [c, view.parabola.y.to]], { colour: "line", dash: [2, 3] });
        view.parabola.dots([[c, Math.min(variance, view.parabola.y.to)]], { size: 6 });
      } else {
        view.parabola.word(outside, (view.parabola.area.left + view.parabola.area.right) / 2, view.parabola.area.top + 30, { align: "center", colour: "estimate", bold: true });
      }
      level(view.mean, exact, within(view.mean.x, c), mean, error);

      view.number("mean", "mean estimate", mean, error);
      view.number("exact", "exact gradient", exact, undefined, "exact");
      view.number("variance", "variance of one", variance, errorOfVariance(mean, tails, heads, n));
      view.number("exact-variance", "exact variance", exactVariance, undefined, "exact");
      view.number("f", "loss of tails, heads", f.join(", "), undefined, "other");
      const cents = (x) => x.toFixed(2).replace("-", "−");
      view.number("c", "c", c, undefined, "other", cents(c));
      view.number("best", "best constant", best, undefined, "exact", cents(best));
      view.number("loss", "mean loss", loss, undefined, "exact", cents(loss));
      view.number("variance-at-loss", "exact variance at the mean loss", varianceAt(loss), undefined, "exact");
      view.number("tails", "estimate for tails", tails, undefined, "other");
      view.number("heads", "for heads", heads, undefined, "other");
    },
  });

  /** The exact parabola, and marks on it. */
  function parabola(plot, varianceAt, marks) {
    const { from, to } = plot.x;
    plot.axes();
    const points = Array.from({ length: 201 }, (_, i) => from + ((to - from) * i) / 200).map((c) => [c, varianceAt(c)]);
    plot.line(points.filter(([, y]) => y <= plot.y.to), { colour: "exact", width: 2, dash: [6, 4] });
    const near = Math.abs(plot.px(marks[0][1]) - plot.px(marks[1][1])) < 70;
    marks.sort((a, b) => a[1] - b[1]).forEach(([name, c], i) => {
      const y = varianceAt(c);
      const [px, py] = [plot.px(c), plot.py(y)];
      plot.diamond(c, y);
      const align = near ? ["right", "left"][i] : "center";
      plot.shape([[px, py - 8], [px, py - 21]], { colour: "exact" });
      plot.word(name, px + { right: -3, left: 3, center: 0 }[align], py - 24, { align, colour: "exact" });
    });
  }

  /** The exact gradient as a level, and the mean with its error at c. */
  function level(plot, exact, c, mean, error) {
    plot.axes();
    plot.line([[plot.x.from, exact], [plot.x.to, exact]], { colour: "exact", width: 2, dash: [6, 4] });
    plot.text("exact", plot.x.to, exact, { align: "right", colour: "exact", dy: -7 });
    const [low, high] = [Math.max(mean - error, plot.y.from), Math.min(mean + error, plot.y.to)];
    if (low < high) plot.line([[c, low], [c, high]], { colour: "estimate", width: 3 });
    if (mean > plot.y.from && mean < plot.y.to) plot.dots([[c, mean]], { size: 4 });
  }

  /** The standard error of the variance of n draws from two values, whose share of heads their mean tells. */
  function errorOfVariance(mean, tails, heads, n) {
    if (Math.abs(heads - tails) < 1e-6) return 0;
    const share = (mean - tails) / (heads - tails);
    return Math.abs(1 - 2 * share) * (heads - tails) ** 2 * Math.sqrt(Math.max(share * (1 - share), 0) / n);
  }
})();
