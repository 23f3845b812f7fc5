"use strict";
// One temperature, same noise: the winner of a relaxed sample stays as tau moves, and its mean drifts away from p.
(() => {
  const names = ["A", "B", "C"];
  /** The corners of the triangle, for classes A, B and C. */
  const corners = [[0, 0], [1, 0], [0.5, Math.sqrt(3) / 2]];
  const place = (y) => mixture(corners, y);

  reparam.panel("one-temperature", {
    title: "One temperature, same noise",
    try: "move the temperature from one end to the other. The noise stays the same. Then drag the black handle, which is p.",
    notice:
      "each point slides along a path of its own, but the largest entry of each sample stays the largest: the winner never changes with tau. The mean of the relaxed samples starts at p for small tau and drifts to the centre (the arrow). In the bars, green is one sample, blue the mean of 2,000, and dashed p.",
    state: { x: [1, 0, 0.5], tau: 1, seed: 4 },
    check(state) {
      state.tau = clamp(state.tau, 0.05, 10);
      state.x = state.x.map((x) => clamp(x, -6, 6));
      return state;
    },
    controls: [
      { slider: "tau", label: "temperature", min: 0.05, max: 10, log: true },
      { button: "Other noise", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      view.triangle = view.plot({
        label: "Relaxed samples as points of a triangle, with their mean and the exact probabilities",
        x: { from: -0.08, to: 1.08 },
        y: { from: -0.12, to: 1.0 },
        height: 320,
        bare: true,
        square: true,
      });
      view.triangle.handle({
        name: "p",
        label: "probabilities p",
        at: (state) => place(softmax(state.x)),
        move: (state, x, y) => ({ x: logitsAt(x, y) }),
        step: [0.02, 0.02],
        value: (state) => softmax(state.x).map((p, k) => `${names[k]} ${short(p, 2)}`).join(", "),
      });
      view.bars = view.plot({
        label: "The first sample's entries, the mean of all samples, and the exact probabilities",
        x: { from: -0.5, to: 2.5, ticks: [0, 1, 2], format: (k) => names[k] },
        y: { from: 0, to: 1, title: "share" },
        height: 200,
      });
    },

    draw(view, state, engine) {
      const n = 2000;
      const found = engine.call("relaxed", [state.tau, state.seed, n], state.x);
      const [p, mean, hard] = [0, 3, 6].map((at) => Array.from(found.subarray(at, at + 3)));
      const first = Array.from(found.subarray(9, 12));
      const winner = first.indexOf(Math.max(...first));

      const { triangle, bars } = view;
      triangle.line(corners, { colour: "line", close: true, width: 1.5 });
      names.forEach((name, k) => triangle.text(name, ...corners[k], { dx: [-16, 8, -4][k], dy: [14, 14, -8][k], bold: true, size: 15 }));
      const points = Array.from({ length: n }, (_, i) => place(found.subarray(9 + 3 * i, 12 + 3 * i)));
      triangle.dots(points, { size: 1.6, alpha: 0.45 });
      triangle.dots([place(first)], { colour: "third", size: 6 });
      triangle.arrow(place(p), place(mean), { colour: "exact" });
      triangle.text("mean", ...place(mean), { colour: "exact", align: "center", bold: true, dy: 28 });

      bars.axes();
      names.forEach((_, k) => {
        bars.bar(k - 0.2, 0.34, first[k], { colour: "third", alpha: k === winner ? 1 : 0.5 });
        bars.bar(k + 0.2, 0.34, mean[k], { colour: "estimate" });
        bars.line([[k - 0.42, p[k]], [k + 0.42, p[k]]], { colour: "exact", width: 2.5, dash: [6, 3] });
      });

      view.number("winner", "winner of the first sample (green)", names[winner]);
      names.forEach((name, k) => view.number(`mean-${name}`, `mean of ${name}`, mean[k]));
      names.forEach((name, k) => view.number(`p-${name}`, `exact p(${name})`, p[k], undefined, "exact"));
      names.forEach((name, k) => view.number(`hard-${name}`, `wins of ${name}`, hard[k]));
    },
  });

  /** Logits whose probabilities lie at a point of the triangle, or at the nearest that a drag can reach. */
  function logitsAt(x, y) {
    const c = y / corners[2][1];
    const b = x - c / 2;
    const p = [1 - b - c, b, c].map((share) => Math.max(share, 0.005));
    return p.map((share) => Number(Math.log(share).toFixed(3)));
  }
})();
