"use strict";
// Frozen dice: with the draws held fixed, a sample is a staircase in its logits; the mean of many staircases is smooth.
(() => {
  const names = ["A", "B", "C"];
  const counts = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

  reparam.panel("frozen-dice", {
    title: "Frozen dice",
    try: "drag the logit of class A along the axis, then raise N from 1 to 10,000. Press Redraw for other draws. The logits of B and C stay at 0 and 0.5.",
    notice:
      "one draw gives a step: flat, with a single jump, so its derivative is 0 wherever it exists. The mean of many steps is a staircase that approaches p, which has a slope everywhere.",
    state: { x: [0.5, 0, 0.5], n: 1, seed: 1 },
    check(state) {
      state.n = counts.includes(state.n) ? state.n : 1;
      return state;
    },
    controls: [
      { slider: "n", label: "draws N", values: counts },
      { button: "Redraw", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      view.stairs = view.plot({
        label: "Share of draws that give class A, against the logit of A, beside the exact probability",
        x: { from: -5, to: 5, title: "logit of class A" },
        y: { from: 0, to: 1, title: "share of class A" },
        height: 260,
      });
      view.stairs.handle({
        name: "logit",
        label: "logit of class A",
        at: (state) => [state.x[0], 0],
        move: (state, x) => ({ x: [Number(x.toFixed(2)), state.x[1], state.x[2]] }),
        step: [0.1, 0],
        value: (state) => short(state.x[0]),
      });
    },

    draw(view, state, engine) {
      const found = engine.call("staircase", [0, state.seed, state.n], state.x);
      const share = found[0];
      const p = found[3];
      const jumps = found.subarray(6);
      const plot = view.stairs;
      plot.axes();
      plot.line(curve(state.x), { colour: "exact", width: 2, dash: [6, 4] });
      plot.line(staircase(jumps, plot.x), { colour: "estimate", width: 2 });
      plot.line([[state.x[0], 0], [state.x[0], 1]], { colour: "line", dash: [2, 3] });
      plot.dots([[state.x[0], share]], { size: 5 });
      view.number("share", "share of A in the draws", share);
      view.number("p", "exact p(A)", p, undefined, "exact");
      view.number("slope", "slope of the staircase here", 0);
      view.number("exact-slope", "slope of p here", p * (1 - p), undefined, "exact");
      if (state.n === 1) view.number("class", "the draw", names[[0, 1, 2].find((k) => found[k] === 1)]);
      else view.number("class", "draws", state.n);
    },
  });

  /** p(A) as a function of its logit. */
  function curve([, b, c]) {
    const rest = Math.exp(b) + Math.exp(c);
    return Array.from({ length: 101 }, (_, i) => -5 + i / 10).map((x) => [x, Math.exp(x) / (Math.exp(x) + rest)]);
  }

  /** The share of draws that have jumped to class A, as a line with a step at each jump. */
  function staircase(jumps, axis) {
    const points = [[axis.from, 0]];
    const inside = Array.from(jumps, (x, i) => [x, i]).filter(([x]) => x < axis.to);
    const every = Math.max(1, Math.floor(inside.length / 1000));
    inside.forEach(([x, i]) => {
      if (i % every) return;
      const at = Math.max(x, axis.from);
      points.push([at, points.at(-1)[1]], [at, (i + 1) / jumps.length]);
    });
    points.push([axis.to, inside.length / jumps.length]);
    return points;
  }
})();
