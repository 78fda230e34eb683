"use strict";
// Prompts, the road of the implied weight through the layers, and the steps of gradient descent and GD++.

const descent = (() => {
  const { add, apply, dot, identity, multiply, normal, product, scale, transpose, truncate } = numerics;
  const DIM = 2;

  /** Tokens [x; y] of prompt `number` of a seed: w, then inputs and label noise of one demonstration after another. */
  function prompt(state, number) {
    const draw = normal((state.prompt * 1000003 + number * 7919 + 17) >>> 0);
    const weight = [draw(), draw()];
    const roots = [1, Math.sqrt(state.spread)];
    const tokens = [];
    for (let i = 0; i < state.shots; i += 1) {
      const x = roots.map((root) => root * draw());
      tokens.push([...x, dot(weight, x) + state.noise * draw()]);
    }
    return { weight, tokens };
  }

  /** S = (1/N) Σ h hᵀ. */
  function moment(tokens) {
    return scale(multiply(transpose(tokens), tokens), 1 / tokens.length);
  }

  /** Weights that are gradient descent: W_V = diag(0, 0, -η), W_K = W_Q = diag(1, 1, 0). */
  function constructed(layers, eta) {
    const inputs = [[1, 0, 0], [0, 1, 0], [0, 0, 0]];
    const value = [[0, 0, 0], [0, 0, 0], [0, 0, -eta]];
    return Array.from({ length: layers }, () => ({ value, key: inputs, query: inputs }));
  }

  /** One module of one layer at rank r. */
  function truncated(layers, layer, module, rank) {
    return layers.map((own, t) => (t === layer ? { ...own, [module]: truncate(own[module], rank) } : own));
  }

  /** p_0 = 0, ..., p_L: minus the label's row of W_t, with W_t = W_{t-1} + W_V M S Mᵀ W_Kᵀ W_Q M, M = I + W_{t-1}. */
  function implied(layers, second) {
    let map = identity(DIM + 1);
    const path = [new Array(DIM).fill(0)];
    for (const { value, key, query } of layers) {
      const own = product(map, second, transpose(map));
      map = add(map, product(value, own, transpose(key), query, map));
      path.push(map[DIM].slice(0, DIM).map((entry) => -entry));
    }
    return path;
  }

  const inputsOf = (second) => second.slice(0, DIM).map((row) => row.slice(0, DIM));
  const crossOf = (second) => second.slice(0, DIM).map((row) => row[DIM]);

  /** w ← w - η (S_xx w - S_xy). */
  function gradientDescent(second, eta, steps) {
    const inputs = inputsOf(second);
    const cross = crossOf(second);
    const path = [new Array(DIM).fill(0)];
    for (let t = 0; t < steps; t += 1) {
      const gradient = apply(inputs, path[t]).map((value, i) => value - cross[i]);
      path.push(path[t].map((value, i) => value - eta * gradient[i]));
    }
    return path;
  }

  /** Gradient descent on the residuals that moves the inputs too: c ← A(c - η S c), S ← A S A, T ← A T, A = I - γ S. */
  function plusPlus(second, eta, gamma, steps) {
    let inputs = inputsOf(second);
    let cross = crossOf(second);
    let moved = identity(DIM);
    const path = [new Array(DIM).fill(0)];
    for (let t = 0; t < steps; t += 1) {
      const change = apply(transpose(moved), cross);
      path.push(path[t].map((value, i) => value + eta * change[i]));
      const step = add(identity(DIM), inputs, -gamma);
      const lower = apply(inputs, cross).map((value, i) => cross[i] - eta * value);
      cross = apply(step, lower);
      inputs = product(step, inputs, step);
      moved = multiply(step, moved);
    }
    return path;
  }

  /** (1/2N) Σ (w·x_i - y_i)², from S. */
  function loss(second, weight) {
    const inputs = inputsOf(second);
    return (dot(weight, apply(inputs, weight)) - 2 * dot(weight, crossOf(second)) + second[DIM][DIM]) / 2;
  }

  /** (p - w)ᵀ Λ (p - w): the squared error on a new input. */
  function risk(state, path, weight) {
    const rest = path.map((value, i) => value - weight[i]);
    return rest[0] ** 2 + state.spread * rest[1] ** 2;
  }

  return { prompt, moment, constructed, truncated, implied, gradientDescent, plusPlus, loss, risk, inputsOf, crossOf };
})();
