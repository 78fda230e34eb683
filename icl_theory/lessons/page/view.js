"use strict";
// The controls and the four pictures; nothing is computed here but places on the screen.

const view = (() => {
  const NAMES = { model: "model", descent: "gradient descent", plusPlus: "GD++" };
  const SVG = "http://www.w3.org/2000/svg";
  const shown = { step: null };

  function element(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.appendChild(made);
    return made;
  }

  const short = (value) => (Number.isFinite(value) ? (Math.abs(value) < 1e4 ? value.toPrecision(3) : value.toExponential(1)) : "∞");

  /** A picture of fixed inner size; returns its group and the functions from numbers to places. */
  function canvas(id, xs, ys, options = {}) {
    const svg = document.getElementById(id);
    svg.replaceChildren();
    const [width, height, left, bottom, top] = [360, 278, 46, 34, 24];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const toY = options.log ? (value) => Math.log10(Math.max(value, ys[0])) : (value) => value;
    const [low, high] = ys.map(toY);
    const x = (value) => left + ((value - xs[0]) / (xs[1] - xs[0])) * (width - left - 10);
    const y = (value) => height - bottom - ((toY(value) - low) / (high - low)) * (height - bottom - top);
    const plot = { svg, x, y, width, height, left, bottom, top };
    element("line", { x1: left, x2: width - 10, y1: height - bottom, y2: height - bottom, class: "axis" }, svg);
    element("line", { x1: left, x2: left, y1: top, y2: height - bottom, class: "axis" }, svg);
    for (const value of options.xTicks ?? []) {
      element("text", { x: x(value), y: height - bottom + 14, class: "tick middle" }, svg, String(value));
    }
    for (const value of options.yTicks ?? []) {
      element("text", { x: left - 5, y: y(value) + 3.5, class: "tick end" }, svg, String(Number(value.toPrecision(2))));
    }
    element("text", { x: (left + width) / 2, y: height - 4, class: "label middle" }, svg, options.xLabel ?? "");
    element("text", { x: 8, y: 12, class: "label" }, svg, options.yLabel ?? "");
    return plot;
  }

  function road(plot, points, name) {
    const places = points.map(([a, b]) => [plot.x(a), plot.y(b)]);
    element("polyline", { points: places.map((place) => place.join(",")).join(" "), class: `road ${name}` }, plot.svg);
    places.forEach(([cx, cy], t) => element("circle", { cx, cy, r: t === 0 ? 2.5 : 4, class: `dot ${name}` }, plot.svg));
  }

  /** Ellipses of equal loss around the least-squares weight, and the roads on them. */
  function contour(found) {
    const inputs = descent.inputsOf(found.moment);
    const cross = descent.crossOf(found.moment);
    const size = inputs[0][0] * inputs[1][1] - inputs[0][1] ** 2;
    const best = [
      (inputs[1][1] * cross[0] - inputs[0][1] * cross[1]) / size,
      (inputs[0][0] * cross[1] - inputs[0][1] * cross[0]) / size,
    ];
    const until = shown.step ?? found.state.layers;
    const paths = Object.fromEntries(Object.entries(found.paths).map(([name, path]) => [name, path.slice(0, until + 1)]));
    const every = [best, ...Object.values(found.paths).flat()].filter((p) => p.every((v) => Math.abs(v) < 1e3));
    const middle = [0, 1].map((i) => (Math.min(...every.map((p) => p[i])) + Math.max(...every.map((p) => p[i]))) / 2);
    const half = Math.max(0.4, ...every.map((p) => Math.max(Math.abs(p[0] - middle[0]), Math.abs(p[1] - middle[1])))) * 1.15;
    const wide = half * (304 / 220);
    const ticks = (centre, reach) => [centre - reach * 0.8, centre, centre + reach * 0.8].map((v) => Number(v.toPrecision(2)));
    const plot = canvas("contour", [middle[0] - wide, middle[0] + wide], [middle[1] - half, middle[1] + half], {
      xTicks: ticks(middle[0], wide), yTicks: ticks(middle[1], half), xLabel: "w₁", yLabel: "w₂",
    });
    const { values, right } = numerics.svd(inputs);
    const turn = (Math.atan2(-right[1][0], right[0][0]) * 180) / Math.PI;
    const unit = plot.x(1) - plot.x(0);
    const inside = element("g", { "clip-path": "url(#frame)" }, plot.svg);
    for (let k = 0; k < 9; k += 1) {
      const level = half ** 2 * 0.012 * 1.9 ** k;
      const place = `translate(${plot.x(best[0])} ${plot.y(best[1])}) rotate(${turn})`;
      const [rx, ry] = values.map((value) => unit * Math.sqrt((2 * level) / Math.max(value, 1e-6)));
      element("ellipse", { rx, ry, transform: place, class: "level" }, inside);
    }
    const definition = element("clipPath", { id: "frame" }, plot.svg);
    const box = { x: plot.left, y: plot.top, width: plot.width - plot.left - 10, height: plot.height - plot.bottom - plot.top };
    element("rect", box, definition);
    element("path", { d: `M${plot.x(best[0]) - 6} ${plot.y(best[1])}h12m-6 -6v12`, class: "best" }, plot.svg);
    for (const name of ["descent", "plusPlus", "model"]) road({ ...plot, svg: inside }, paths[name], name);
  }

  function losses(found) {
    const numbers = Object.values(found.bands).flat(2).filter((value) => value > 0 && Number.isFinite(value));
    const low = Math.max(Math.min(...numbers), Math.max(...numbers) * 1e-8);
    const ys = [low, Math.max(...numbers) * 1.2];
    const ticks = [];
    for (let power = Math.ceil(Math.log10(low)); 10 ** power < ys[1]; power += 1) ticks.push(10 ** power);
    const plot = canvas("losses", [0, found.state.layers], ys, {
      log: true, xTicks: Array.from({ length: found.state.layers + 1 }, (_, t) => t), yTicks: ticks.slice(0, 6),
      xLabel: "layers or steps", yLabel: "loss: median, 80 % of 64 prompts",
    });
    for (const name of ["descent", "plusPlus", "model"]) {
      const band = found.bands[name];
      const edge = [...band.map(([a], t) => [t, a]), ...band.map(([, , b], t) => [t, b]).reverse()];
      const points = edge.map(([t, value]) => `${plot.x(t)},${plot.y(value)}`).join(" ");
      element("polygon", { points, class: `band ${name}` }, plot.svg);
    }
    for (const name of ["descent", "plusPlus", "model"]) {
      road(plot, found.bands[name].map(([, value], t) => [t, value]), name);
    }
  }

  function ladder(found) {
    const lines = { weights: "all of W", readout: "readout", wishart: "Wishart, no noise", risk: "risk" };
    const numbers = found.ranks.flatMap((own) => Object.keys(lines).map((name) => own[name]))
      .filter((value) => value > 0 && Number.isFinite(value) && value < 1e6);
    const ys = [Math.min(...numbers, 0.1) * 0.8, Math.max(...numbers, 4) * 1.2];
    const ticks = [0.01, 0.1, 1, 10, 100, 1000, 1e4, 1e5].filter((value) => value > ys[0] && value < ys[1]);
    const plot = canvas("ladder", [-0.2, 3.2], ys, {
      log: true, xTicks: [0, 1, 2, 3], yTicks: ticks, xLabel: `rank of ${found.state.module}`, yLabel: "bound on the gap, risk",
    });
    const y = plot.y(CLIP);
    element("line", { x1: plot.left, x2: plot.width - 10, y1: y, y2: y, class: "trivial" }, plot.svg);
    for (const name of Object.keys(lines)) {
      const points = found.ranks.map((own, r) => [r, own[name]]).filter(([, value]) => value > 0 && value < 1e6);
      road(plot, points, name);
    }
    mark(plot, found.state.rank);
  }

  function mark(plot, value) {
    element("line", { x1: plot.x(value), x2: plot.x(value), y1: plot.top, y2: plot.height - plot.bottom, class: "mark" }, plot.svg);
  }

  function staircase(found) {
    const plot = canvas("staircase", [-0.5, 3.5], [0, 9], {
      xTicks: [0, 1, 2, 3], yTicks: [0, 3, 6, 9], xLabel: `rank of ${found.state.module}, layer ${found.state.layer}`,
      yLabel: "directions with noise, of 9",
    });
    const steps = found.ranks.map((own) => own.support[found.state.layer - 1]);
    steps.forEach((value, r) => {
      const [x, y] = [plot.x(r - 0.35), plot.y(value)];
      const box = { x, y, width: plot.x(r + 0.35) - x, height: plot.y(0) - y, class: r === found.state.rank ? "step now" : "step" };
      element("rect", box, plot.svg);
      element("text", { x: plot.x(r), y: y - 4, class: "tick middle" }, plot.svg, String(value));
    });
  }

  function words(found) {
    const { state, ranks, paths } = found;
    const own = ranks[state.rank];
    const last = Object.entries(paths).map(([name, path]) => `${NAMES[name]} (${path[path.length - 1].map(short).join(", ")})`);
    document.getElementById("said").textContent =
      `After ${state.layers} layer${state.layers > 1 ? "s" : ""}, w: ${last.join("; ")}. ` +
      `Rank ${state.rank} of ${state.module} in layer ${state.layer}: noise in ${own.support[state.layer - 1]} of 9 directions, ` +
      `bound on all of W ${short(own.weights)}, on the readout ${short(own.readout)}, Wishart ${short(own.wishart)}, risk ${short(own.risk)}.`;
  }

  function draw(found) {
    contour(found);
    losses(found);
    ladder(found);
    staircase(found);
    words(found);
  }

  return { draw, shown };
})();
