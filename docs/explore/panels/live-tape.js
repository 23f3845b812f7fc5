"use strict";
// A live tape: values run to the right, gradients come back, and a straight-through op sends them through its surrogate.
(() => {
  const ops = ["gumbel_softmax", "st_gumbel_softmax", "st_categorical"];
  const names = ["A", "B", "C", "D"];

  reparam.panel("live-tape", {
    title: "A live tape",
    try: "drag the round handles, which are logits and prices. Then switch the op.",
    notice:
      "with a straight-through op the value z is one-hot, but the gradient comes back through the soft bars (outlined), which never enter the loss. It does not pass through argmax. Blue bars are its mean over 2,000 samples. Only st_categorical at temperature 1 meets the exact gradient (dashed), because these prices are linear in z.",
    state: { x: [0, 1, 0.5, -1], f: [3, 1, 2, 5], op: 1, tau: 1, seed: 3 },
    check(state) {
      const [x, f] = [state.x.map((x) => clamp(x, -4, 4)), state.f.map((f) => clamp(f, 0, 6))];
      return { ...state, x, f, op: clamp(Math.round(state.op), 0, 2), tau: clamp(state.tau, 0.1, 5) };
    },
    controls: [
      { choice: "op", label: "op", options: ops.map((op, i) => [i, op]) },
      { slider: "tau", label: "temperature", min: 0.1, max: 5, log: true },
      { button: "Other noise", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      const bars = (label, from, to, title) =>
        view.plot({ label, x: { from: -0.5, to: 3.5, ticks: [0, 1, 2, 3], format: (k) => names[k] }, y: { from, to, title }, height: 170 });
      view.logits = bars("Logits, with their gradients as arrows", -4, 4, "logits x, and dx");
      view.sample = bars("The sample z, and its surrogate as outlines", 0, 1.1, "z = sample(x)");
      view.prices = bars("Prices f, with what the sample pays", 0, 6, "prices f, and z · f");
      view.gradient = bars("The gradient of the logits: this sample, the mean of 2000 samples, and the exact one", -2.5, 2.5, "gradient of x");
      for (const k of [0, 1, 2, 3]) {
        const drag = (plot, key, label) =>
          plot.handle({
            name: `${key}-${names[k]}`,
            label: `${label} of ${names[k]}`,
            at: (state) => [k, state[key][k]],
            move: (state, x, y) => ({ [key]: state[key].map((v, i) => (i === k ? Number(y.toFixed(2)) : v)) }),
            step: [0, 0.1],
            value: (state) => short(state[key][k]),
          });
        drag(view.logits, "x", "logit");
        drag(view.prices, "f", "price");
      }
    },

    draw(view, state, engine) {
      const found = engine.call("live_tape", [state.op, state.tau, state.seed], [...state.x, ...state.f]);
      const part = (at) => Array.from(found.subarray(at, at + 4));
      const [z, soft, paid, loss] = [part(0), part(4), part(8), found[12]];
      const [dx, exact, mean, error] = [part(13), part(25), part(29), part(33)];
      const each = (plot, draw) => {
        plot.axes();
        names.forEach((_, k) => draw(k));
      };
      each(view.logits, (k) => {
        view.logits.bar(k, 0.5, state.x[k], { colour: "faint" });
        const scale = 1.5;
        if (Math.abs(dx[k]) > 0.02) view.logits.arrow([k + 0.34, state.x[k]], [k + 0.34, state.x[k] + scale * dx[k]], { colour: "fourth" });
      });
      each(view.sample, (k) => {
        view.sample.bar(k, 0.5, z[k], { colour: "estimate" });
        if (state.op > 0) {
          const top = soft[k];
          view.sample.line([[k - 0.32, 0], [k - 0.32, top], [k + 0.32, top], [k + 0.32, 0]], { colour: "fourth", width: 2, dash: [4, 3] });
        }
      });
      each(view.prices, (k) => {
        view.prices.bar(k, 0.5, state.f[k], { colour: "faint" });
        view.prices.bar(k, 0.3, paid[k], { colour: "estimate" });
      });
      const plot = view.gradient;
      const most = Math.max(0.5, ...[dx, exact, mean].flat().map(Math.abs)) * 1.2;
      Object.assign(plot.y, { from: -most, to: most });
      each(plot, (k) => {
        plot.bar(k - 0.25, 0.22, dx[k], { colour: "fourth" });
        plot.bar(k, 0.22, mean[k], { colour: "estimate" });
        plot.error(k, mean[k], 2 * error[k], { colour: "ink" });
        plot.line([[k - 0.4, exact[k]], [k + 0.4, exact[k]]], { colour: "exact", width: 2.5, dash: [6, 3] });
      });
      view.number("loss", "loss, z · f", loss);
      view.number("winner", "largest entry of z", names[z.indexOf(Math.max(...z))]);
      names.forEach((name, k) => view.number(`mean-${name}`, `mean d${name} (blue)`, mean[k], error[k]));
      names.forEach((name, k) => view.number(`exact-${name}`, `exact d${name}`, exact[k], undefined, "exact"));
      view.tape ??= view.root.insertBefore(make("details", {}, make("summary", {}, "The tape, as the engine prints it"), make("pre")), view.readout.nextSibling);
      view.tape.querySelector("pre").textContent = engine.said();
    },
  });
})();
