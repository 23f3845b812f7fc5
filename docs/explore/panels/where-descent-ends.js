"use strict";
// Where descent ends: gradient descent on E (z - t)^2 for a coin, with an estimator's gradients and with the exact one.
(() => {
  const STEPS = 300;
  const estimators = [
    ["st-softmax:1", "straight-through"],
    ["st-gumbel-softmax:1", "ST Gumbel-Softmax, τ = 1"],
    ["gumbel-softmax:1", "Gumbel-Softmax, τ = 1"],
    ["gumbel-softmax:0.5", "Gumbel-Softmax, τ = 0.5"],
    ["gumbel-softmax:0.1", "Gumbel-Softmax, τ = 0.1"],
    ["reinmax:1", "ReinMax"],
    ["score-function", "REINFORCE"],
    ["rloo:4", "leave-one-out, 4 samples"],
    ["disarm", "DisARM"],
  ];

  reparam.panel("where-descent-ends", {
    title: "Where descent ends",
    try: "drag t to 0.3, then to 0.7. Lower the rate, and take more estimates per step. Then choose ReinMax or REINFORCE.",
    notice:
      "straight-through settles around p = t, where the loss isn't least. Smaller steps and more estimates don't move it from there. The exact gradient has the same sign at every p (and is 0 only if t is ½), so it heads for 0 or 1.",
    state: { t: 0.45, p: 0.6, estimator: "st-softmax:1", rate: 2, batch: 32, seed: 1 },
    check: (state) => ({
      t: clamp(state.t, 0, 1),
      p: clamp(state.p, 0.02, 0.98),
      estimator: estimators.some(([name]) => name === state.estimator) ? state.estimator : "st-softmax:1",
      rate: clamp(state.rate, 0.5, 10),
      batch: Math.round(clamp(state.batch, 1, 64)),
      seed: Math.round(clamp(state.seed, 0, 1e6)),
    }),
    controls: [
      { choice: "estimator", label: "gradient from", options: estimators },
      { slider: "rate", label: "rate", values: [0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10] },
      { slider: "batch", label: "estimates per step", values: [1, 2, 4, 8, 16, 32, 64] },
      { button: "Redraw", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1];
      const plot = (view.path = view.plot({
        label: "Probability of heads over the steps of a descent, with an estimator's gradients and with the exact gradient",
        x: { from: -20, to: 350, ticks: [0, 100, 200, 300], title: "steps" },
        y: { from: -0.1, to: 1.2, ticks, title: "p" },
        height: 300,
      }));
      plot.handle({
        name: "t",
        label: "target t",
        at: (state) => [325, state.t],
        move: (_, x, y) => ({ t: Number(clamp(y, 0, 1).toFixed(2)) }),
        step: [0, 0.01],
        value: (state) => short(state.t),
      });
      plot.handle({
        name: "start",
        label: "p at the start",
        at: (state) => [0, state.p],
        move: (_, x, y) => ({ p: Number(clamp(y, 0.02, 0.98).toFixed(2)) }),
        step: [0, 0.01],
        value: (state) => short(state.p),
      });
    },

    draw(view, { t, p, estimator, rate, batch, seed }, engine) {
      const logit = Math.log(p / (1 - p));
      const path = engine.call("descent", [rate, STEPS, batch, seed], [logit, t], estimator);
      const exact = exactDescent(logit, t, rate);
      const plot = view.path;
      const { right, top } = plot.area;
      plot.axes();
      plot.word("exact gradient", right, top + 6, { align: "right", colour: "exact" });
      plot.word("estimates", right - 108, top + 6, { align: "right", colour: "estimate" });

      plot.line([[-20, t], [325, t]], { colour: "third", dash: [2, 3], width: 1.5 });
      plot.text("t", 325, t, { dy: t > 0.5 ? 26 : -16, align: "center", colour: "third", bold: true });
      if (t !== 0.5) {
        const least = t < 0.5 ? 0 : 1;
        plot.line([[-20, least], [350, least]], { colour: "exact", dash: [2, 3], width: 1.5 });
        plot.text("least loss", 300, least, { dy: least ? -6 : 15, align: "right", colour: "exact", size: 12 });
      }
      plot.line(Array.from(path, (p, step) => [step, p]), { colour: "estimate", width: 1.5 });
      plot.line(exact.map((p, step) => [step, p]), { colour: "exact", width: 2, dash: [6, 4] });
      plot.dots([[STEPS, path[STEPS]]], { size: 4 });
      plot.dots([[STEPS, exact[STEPS]]], { size: 4, colour: "exact" });

      const late = path.subarray(STEPS - 99);
      view.number("p", `p after ${STEPS} steps`, path[STEPS]);
      view.number("late", "mean p of the last 100", mean(late));
      view.number("exact-p", "p with the exact gradient", exact[STEPS], undefined, "exact");
      view.number("loss", "expected loss at p", loss(path[STEPS], t));
      view.number("exact-loss", "loss with the exact gradient", loss(exact[STEPS], t), undefined, "exact");
      view.number("least", "least loss", Math.min(loss(0, t), loss(1, t)), undefined, "exact");
    },
  });

  /** E (z - t)^2 for a coin. */
  function loss(p, t) {
    return p * (1 - t) ** 2 + (1 - p) * t ** 2;
  }

  /** p before each step and after the last, with the gradient (1 - 2t) p (1 - p). */
  function exactDescent(logit, t, rate) {
    return Array.from({ length: STEPS + 1 }, () => {
      const p = sigmoid(logit);
      logit -= rate * (1 - 2 * t) * p * (1 - p);
      return p;
    });
  }
})();
