"use strict";
// A cheating decoder: the objective with relaxed samples beside the hard ELBO and ln p(x), for one bit.
(() => {
  // p(x | b) at the two states of the bit.
  const [AT_0, AT_1] = [0.2, 0.6];
  const SAMPLES = 2000;
  const forms = [
    [0, "the relaxed densities"],
    [1, "the masses, at y"],
    [2, "the hard bits"],
  ];

  reparam.panel("cheating-decoder", {
    title: "A cheating decoder",
    try: "raise the hump to 2 and press “Go to the best objective”. Then lower the temperature. Last, set the hump to 0 and choose the masses as the KL.",
    notice:
      "with the relaxed densities, the best objective rises above ln p(x) as the hump grows, because it bounds the likelihood of another model, whose bits are relaxed; the hard ELBO at that logit falls. The decoder gains only at half-bits, and a hard bit never is one. Without a hump, the objective stays below ln p(x) with the relaxed densities, but passes it with the masses.",
    state: { logit: 0, hump: 1, tau: 1, form: 0, seed: 1 },
    check: (state) => ({
      logit: clamp(state.logit, -6, 6),
      hump: clamp(state.hump, 0, 4),
      tau: clamp(state.tau, 0.1, 3),
      form: Math.round(clamp(state.form, 0, 2)),
      seed: Math.round(clamp(state.seed, 0, 1e6)),
    }),
    controls: [
      { slider: "hump", label: "hump at y = ½", min: 0, max: 4, step: 0.1 },
      { slider: "tau", label: "temperature τ", values: [0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3] },
      { choice: "form", label: "KL of", options: forms },
      { button: "Go to the best objective", act: (state, view) => (view.engine ? { logit: compute(view.engine, state).best } : {}) },
      { button: "Redraw", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      const plot = (view.curves = view.plot({
        label: "The hard ELBO and the objective with relaxed samples, against the logit of the posterior, beside ln p(x)",
        x: { from: -6, to: 6, title: "logit of q(b = 1 | x)" },
        y: { from: -3, to: 0, title: "nats" },
        height: 320,
      }));
      plot.handle({
        name: "logit",
        label: "logit of the posterior",
        at: (state) => [state.logit, plot.y.from],
        move: (_, x) => ({ logit: Number(x.toFixed(2)) }),
        step: [0.1, 0],
        value: (state) => short(state.logit),
      });
    },

    draw(view, state, engine) {
      const { logit } = state;
      const { evidence, hard, integral, estimate, error, logits, hardCurve, objective, best, atBest, hardAtBest } = compute(engine, state);
      const plot = view.curves;
      const highest = Math.max(evidence, ...objective, estimate + error);
      const lowest = Math.min(-2.5, integral, estimate - error);
      plot.y = { ...plot.y, from: Math.floor(2 * lowest) / 2, to: Math.ceil(2 * highest) / 2 + 0.5 };
      plot.axes();
      const { right, top } = plot.area;
      plot.word("objective", right - 136, top + 6, { colour: "exact", align: "right" });
      plot.word("hard ELBO", right - 56, top + 6, { colour: "fourth", align: "right" });
      plot.word("ln p(x)", right, top + 6, { colour: "third", align: "right" });

      const curve = (values) => logits.map((x, i) => [x, values[i]]).filter(([, y]) => y >= plot.y.from);
      plot.line([[-6, evidence], [6, evidence]], { colour: "third", width: 1.5, dash: [2, 3] });
      plot.line(curve(hardCurve), { colour: "fourth", width: 2, dash: [10, 3] });
      plot.line(curve(objective), { colour: "exact", width: 2, dash: [6, 4] });
      plot.line([[best, hardAtBest], [best, atBest]], { colour: "soft", dash: [2, 3] });
      plot.dots([[best, hardAtBest]], { size: 3.5, colour: "fourth" });
      plot.dots([[best, atBest]], { size: 3.5, colour: "exact" });
      plot.line([[logit, plot.y.from], [logit, Math.max(estimate, hard)]], { colour: "line", dash: [2, 3] });
      plot.error(logit, estimate, error, { width: 2 });
      plot.dots([[logit, estimate]], { size: 5 });
      plot.dots([[logit, hard]], { size: 3.5, colour: "fourth" });

      view.number("objective", "objective, sampled", estimate, error);
      view.number("integral", "objective, integrated", integral, undefined, "exact");
      // The numbers have the colours of their curves.
      view.number("hard", "hard ELBO here", hard, undefined, "fourth");
      view.number("evidence", "ln p(x)", evidence, undefined, "third");
      view.number("best", "the objective's best logit", best, undefined, "exact");
      view.number("best-objective", "objective there", atBest, undefined, "exact");
      view.number("best-hard", "hard ELBO there", hardAtBest, undefined, "fourth");
    },
  });

  /** The engine's answer for a state, and the logit at which the objective is largest. */
  function compute(engine, { logit, hump, tau, form, seed }) {
    const found = engine.call("elbo", [logit, tau, form, seed, SAMPLES], [AT_0, AT_1, hump]);
    const [evidence, hard, integral, estimate, error, ...curves] = found;
    const points = curves.length / 3;
    const [logits, hardCurve, objective] = [0, 1, 2].map((k) => curves.slice(k * points, (k + 1) * points));
    return { evidence, hard, integral, estimate, error, logits, hardCurve, objective, ...largest(logits, objective, hardCurve) };
  }

  /** The logit at which the objective is largest, by the parabola through its largest point and the two beside it, and
   *  the objective and the hard ELBO there, each by such a parabola. */
  function largest(logits, objective, hardCurve) {
    const i = clamp(objective.indexOf(Math.max(...objective)), 1, objective.length - 2);
    const [a, b, c] = objective.slice(i - 1, i + 2);
    const width = logits[1] - logits[0];
    const best = Number((logits[i] + width * clamp((a - c) / (2 * (a - 2 * b + c)), -1, 1)).toFixed(2));
    const step = (best - logits[i]) / width;
    return { best, atBest: between(objective, i, step), hardAtBest: between(hardCurve, i, step) };
  }

  /** A curve at `step` points after its i-th, on the parabola through that point and the two beside it. */
  function between(curve, i, step) {
    const [a, b, c] = curve.slice(i - 1, i + 2);
    return b + ((c - a) * step) / 2 + ((a - 2 * b + c) * step ** 2) / 2;
  }
})();
