"use strict";
// The bump: the relaxed gradient of a coin as the product of a density and a bump whose area is f(1) − f(0).
(() => {
  const heads = [1, 1.5, 2, 3, 5, 7];
  const sizes = [500, 1000, 2000, 5000, 10000];
  // The density of s, logistic noise plus the logit.
  const density = (s, logit) => sigmoid(s - logit) * sigmoid(logit - s);

  reparam.panel("bump", {
    title: "The bump",
    try: "lower τ to 0.05, then raise it to 5. Drag the logit to 3. Drag the three points of f until f(0) = f(1), with f(1/2) elsewhere.",
    notice:
      "the area of the bump is f(1) − f(0) at every τ. At a small τ the bias is small, but the bump is tall and thin, and the variance grows as 1\u2060/\u2060τ. At τ = 5 and logit 1 the variance is tiny, and three quarters of the gradient are missing.",
    state: { logit: 1, tau: 1, f: [1, 1.75, 3], n: 2000, seed: 1 },
    check(state) {
      state.logit = clamp(state.logit, -6, 6);
      state.tau = clamp(state.tau, 0.05, 5);
      state.f = state.f.map((f) => clamp(f, -1, 4));
      state.n = sizes.includes(state.n) ? state.n : 2000;
      state.seed = clamp(Math.round(state.seed), 0, 1e9);
      return state;
    },
    controls: [
      { slider: "tau", label: "temperature τ", min: 0.05, max: 5, log: true, step: 0.02, format: (tau) => short(tau, 2) },
      { slider: "n", label: "draws", values: sizes },
      { button: "Draw again", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      const s = { from: -9, to: 9 };
      view.density = view.plot({
        label: "The density of s, which is logit plus logistic noise",
        x: { ...s },
        y: { from: 0, to: 0.36, ticks: [0, 0.1, 0.2, 0.3], title: "density of s; drag the logit" },
        height: 160,
      });
      view.bump = view.plot({
        label: "The bump, which is the gradient of a draw at s, and its product with the density",
        x: { ...s, title: "s = logit + noise" },
        y: { from: 0, to: 1 },
        height: 240,
      });
      view.curve = view.plot({
        label: "The curve f through its values at 0, 1/2 and 1",
        x: { from: -0.08, to: 1.08, ticks: [0, 0.5, 1], title: "y: drag f(0), f(1/2), f(1)" },
        y: { from: -1, to: 4, title: "f(y)" },
        height: 220,
      });
      view.gradient = view.plot({
        label: "The mean of the estimates with its standard error and its expectation, beside the exact gradient",
        x: { from: 0.5, to: 3.5, ticks: [1, 2, 3], format: (i) => ["exact", "expected", "mean"][i - 1] },
        y: { from: 0, to: 1, title: "gradient" },
        height: 220,
      });
      view.curve.box.classList.add("half");
      view.gradient.box.classList.add("half");
      view.density.handle({
        name: "logit",
        label: "logit",
        at: (state) => [state.logit, 0.25],
        move: (state, x) => ({ logit: Number(clamp(x, -6, 6).toFixed(2)) }),
        step: [0.1, 0],
        value: (state) => short(state.logit),
      });
      ["f(0)", "f(1/2)", "f(1)"].forEach((label, k) =>
        view.curve.handle({
          name: `f${k}`,
          label,
          at: (state) => [k / 2, state.f[k]],
          move: (state, x, y) => ({ f: state.f.map((old, i) => (i === k ? Number(y.toFixed(2)) : old)) }),
          step: [0, 0.05],
          value: (state) => short(state.f[k]),
        }),
      );
    },

    draw(view, state, engine) {
      const { logit, tau, f, n, seed } = state;
      const [exact, mean, error, variance, expected, exactVariance] = engine.call("bump", [logit, tau, seed, n], f);
      // The parabola f(y) = f(0) + slope y + bend y^2 through the three points.
      const bend = 2 * (f[0] + f[2] - 2 * f[1]);
      const slope = f[2] - f[0] - bend;
      const bump = (s) => {
        const y = sigmoid(s / tau);
        return ((slope + 2 * bend * y) * y * sigmoid(-s / tau)) / tau;
      };

      // Points close together where the bump changes, and far enough for all of its area.
      const scaled = Array.from({ length: 801 }, (_, i) => tau * (i - 400) * 0.1);
      const area = scaled.reduce((sum, s) => sum + bump(s) * tau * 0.1, 0);
      const { from, to } = view.bump.x;
      const even = Array.from({ length: 181 }, (_, i) => from + ((to - from) * i) / 180);
      const points = [...even, ...scaled.filter((s) => s > from && s < to && Math.abs(s) < 12 * tau)].sort((a, b) => a - b);

      const top = densities(view.density, points, logit);
      bumps(view.bump, points.map((s) => [s, bump(s)]), points.map((s) => [s, bump(s) * density(s, logit)]));
      curve(view.curve, (y) => f[0] + slope * y + bend * y * y);
      gradients(view.gradient, exact, expected, mean, error);

      view.number("area", "area of the bump", Number(area.toFixed(9)));
      view.number("difference", "f(1) − f(0)", f[2] - f[0], undefined, "exact");
      view.number("mean", "mean estimate", mean, error);
      view.number("exact", "exact gradient", exact, undefined, "exact");
      view.number("expected", "expected, by integration", expected, undefined, "other");
      view.number("variance", "variance of one", variance);
      view.number("expected-variance", "expected variance, by integration", exactVariance, undefined, "other");
      view.number("threshold", "density at s = 0", top, undefined, "exact");
    },
  });

  function densities(plot, points, logit) {
    plot.axes();
    plot.line(points.map((s) => [s, density(s, logit)]), { colour: "third", width: 2 });
    const top = density(0, logit);
    plot.line([[0, 0], [0, 0.36]], { colour: "line", dash: [2, 3] });
    plot.diamond(0, top);
    plot.line([[logit, 0], [logit, 0.25]], { colour: "line", dash: [2, 3] });
    return top;
  }

  /** The bump, and the product whose area is the expected estimate. */
  function bumps(plot, bump, product) {
    const [low, high] = [Math.min(0, ...bump.map(([, y]) => y)), Math.max(0, ...bump.map(([, y]) => y))];
    const unit = nice(1.1 * Math.max(high, -low, 0.02), heads);
    [plot.y.from, plot.y.to] = [low < -0.01 * unit ? -nice(-1.1 * low, heads) : 0, high > 0.01 * unit ? nice(1.1 * high, heads) : 0];
    if (plot.y.from === plot.y.to) plot.y.to = unit;
    plot.axes();
    const { from, to } = plot.x;
    plot.line([[from, 0], [to, 0]], { colour: "line" });
    plot.line([[0, plot.y.from], [0, plot.y.to]], { colour: "line", dash: [2, 3] });
    plot.line([[from, 0], ...bump, [to, 0]], { fill: "estimate", colour: "none", alpha: 0.15 });
    plot.line(bump, { colour: "estimate", width: 2 });
    plot.line([[from, 0], ...product, [to, 0]], { fill: "fourth", colour: "none", alpha: 0.5 });
    plot.line(product, { colour: "fourth", width: 2 });
    const { left, top } = plot.area;
    plot.word("bump", left + 8, top + 8, { colour: "estimate", bold: true });
    plot.word("× density", left + 8, top + 26, { colour: "fourth", bold: true });
  }

  function curve(plot, f) {
    plot.axes();
    plot.line(Array.from({ length: 51 }, (_, i) => [i / 50, f(i / 50)]), { colour: "third", width: 2 });
  }

  /** The exact gradient as a level and a diamond, the expected estimate, and the mean with its error. */
  function gradients(plot, exact, expected, mean, error) {
    const ends = [0, exact, expected, mean - error, mean + error];
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    [plot.y.from, plot.y.to] = [low < 0 ? -nice(-1.15 * low, heads) : 0, high > 0 ? nice(1.15 * high, heads) : 0];
    plot.y.to = Math.max(plot.y.to, -0.25 * plot.y.from, 0.01);
    plot.axes();
    plot.line([[0.5, 0], [3.5, 0]], { colour: "line" });
    plot.bar(2, 0.5, expected, { colour: "fourth", alpha: 0.6 });
    plot.line([[0.5, exact], [3.5, exact]], { colour: "exact", width: 2, dash: [6, 4] });
    plot.diamond(1, exact, 6);
    plot.error(3, mean, error, { width: 3 });
    plot.dots([[3, mean]], { size: 4 });
  }
})();
