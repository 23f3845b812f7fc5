"use strict";
// The Gumbel race: clocks whose first ring is the sample; the wins of many races compared with softmax.
(() => {
  const classes = [0, 1, 2, 3];
  const heads = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  const sizes = [200, 500, 1000, 2000, 5000, 10000, 20000];
  // The chi-squared that a correct sampler of four classes exceeds in 5 cases of 100.
  const limit = 7.815;

  reparam.panel("gumbel-race", {
    title: "Gumbel race",
    try: "press Race again a few times. Then choose normal noise, press it again, and raise the number of races. Drag the logits.",
    notice:
      "with Gumbel noise the wins agree with softmax up to chance. Normal noise has the same variance, but class 4, the outsider, wins too seldom, and more races only make this clearer.",
    state: { x: [0, 1, 0.5, -1], kind: 0, n: 2000, seed: 10 },
    check(state) {
      state.x = state.x.map((x) => clamp(x, -2, 2));
      state.kind = [0, 1, 2].includes(state.kind) ? state.kind : 0;
      state.n = sizes.includes(state.n) ? state.n : 2000;
      state.seed = clamp(Math.round(state.seed), 0, 1e9);
      return state;
    },
    controls: [
      { choice: "kind", label: "noise", options: [[0, "Gumbel"], [1, "normal"], [2, "uniform"]] },
      { slider: "n", label: "races", values: sizes },
      { button: "Race again", act: (state) => ({ seed: state.seed + 1 }) },
    ],

    build(view) {
      view.lanes = view.plot({
        label: "The first race: the time at which the clock of each class rings",
        x: { from: 0, to: 5, title: "time of the ring, exp(−logit − noise)" },
        y: { from: 4.6, to: 0.4, ticks: [1, 2, 3, 4], format: (k) => `class ${k}` },
        height: 190,
      });
      view.logits = view.plot({
        label: "The logits of the four classes",
        x: { from: 0.4, to: 4.6, ticks: [1, 2, 3, 4], title: "logits of the classes: drag" },
        y: { from: -2, to: 2, ticks: [-2, -1, 0, 1, 2] },
        height: 220,
      });
      view.wins = view.plot({
        label: "The number of races that each class won, beside the number that softmax expects",
        x: { from: 0.4, to: 4.6, ticks: [1, 2, 3, 4], title: "wins; diamond: softmax ± 2 std. dev." },
        y: { from: 0, to: 1000 },
        height: 220,
      });
      view.logits.box.classList.add("half");
      view.wins.box.classList.add("half");
      for (const k of classes) {
        view.logits.handle({
          name: `logit-${k + 1}`,
          label: `logit of class ${k + 1}`,
          at: (state) => [k + 1, state.x[k]],
          move: (state, x, y) => ({ x: state.x.map((old, i) => (i === k ? Number(y.toFixed(2)) : old)) }),
          step: [0, 0.1],
          value: (state) => short(state.x[k]),
        });
      }
    },

    draw(view, state, engine) {
      const found = engine.call("race", [state.kind, state.seed, state.n], state.x);
      const [p, wins, noise] = [found.slice(0, 4), found.slice(4, 8), found.slice(8, 12)];
      const expected = Array.from(p, (p) => p * state.n);
      race(view.lanes, Array.from(noise, (g, k) => Math.exp(-(state.x[k] + g))));
      logits(view.logits, state.x);
      counts(view.wins, wins, expected, p);

      const chi2 = classes.reduce((sum, k) => sum + (wins[k] - expected[k]) ** 2 / expected[k], 0);
      const rough = Math.min(...expected) < 5;
      view.number("chi2", rough ? "χ² against softmax (rough: under 5 wins expected)" : "χ² against softmax", chi2);
      view.number("df", "degrees of freedom", 3, undefined, "exact");
      view.number("limit", "95 % of true softmax draws stay below", limit, undefined, "exact");
      const share = wins[3] / state.n;
      view.number("share-4", "share of class 4", share, Math.sqrt((share * (1 - share)) / state.n));
      view.number("p-4", "softmax of class 4", p[3], undefined, "exact");
    },
  });

  /** One lane per class, with a mark where its clock rings. */
  function race(plot, times) {
    const order = classes.toSorted((a, b) => times[a] - times[b]);
    plot.x.to = nice(1.6 * times[order[1]], heads);
    plot.axes();
    for (const k of classes) {
      const first = k === order[0];
      const inside = times[k] <= plot.x.to;
      const [colour, y] = [first ? "estimate" : "soft", k + 1];
      plot.line([[0, y], [Math.min(times[k], plot.x.to), y]], { colour, width: first ? 4 : 2 });
      if (inside) plot.dots([[times[k], y]], { colour, size: first ? 7 : 4 });
      else plot.arrow([0.95 * plot.x.to, y], [plot.x.to, y], { colour });
      const word = first ? `${short(times[k])}: first` : short(times[k]);
      const left = times[k] > 0.75 * plot.x.to;
      plot.text(word, Math.min(times[k], plot.x.to), y, {
        colour: first ? "estimate" : "ink", bold: first, align: left ? "right" : "left", dx: left ? -4 : 12, dy: left ? -9 : 4,
      });
    }
    const time = times[order[0]];
    plot.line([[time, 0.4], [time, 4.6]], { colour: "estimate", dash: [2, 3] });
  }

  function logits(plot, x) {
    plot.axes();
    plot.line([[0.4, 0], [4.6, 0]], { colour: "line", dash: [2, 3] });
    classes.forEach((k) => plot.bar(k + 1, 0.3, x[k], { colour: "faint" }));
  }

  /** Bars of wins, and diamonds with two standard deviations of chance at the counts that softmax expects. */
  function counts(plot, wins, expected, p) {
    plot.y.to = nice(1.12 * Math.max(...wins, ...expected), heads);
    plot.axes();
    for (const k of classes) {
      const [x, at] = [k + 1.25, expected[k]];
      plot.bar(k + 0.9, 0.4, wins[k]);
      plot.text(String(wins[k]), k + 0.9, wins[k], { align: "center", dy: -5 });
      plot.error(x, at, 2 * Math.sqrt(at * (1 - p[k])), { colour: "exact", width: 2 });
      plot.diamond(x, at);
    }
  }
})();
