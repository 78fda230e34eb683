"use strict";
// Small dense linear algebra and random numbers: matrices are arrays of rows.

const numerics = (() => {
  /** Uniform numbers in (0, 1) from a 32-bit seed (mulberry32). */
  function uniform(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = state;
      mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
  }

  /** Standard normal numbers, one for every two uniform ones (Box and Muller). */
  function normal(seed) {
    const draw = uniform(seed);
    return () => {
      const size = Math.sqrt(-2 * Math.log(draw()));
      return size * Math.cos(2 * Math.PI * draw());
    };
  }

  const identity = (size) => Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => +(i === j)));
  const transpose = (a) => a[0].map((_, j) => a.map((row) => row[j]));
  const add = (a, b, factor = 1) => a.map((row, i) => row.map((value, j) => value + factor * b[i][j]));
  const scale = (a, factor) => a.map((row) => row.map((value) => factor * value));

  function multiply(a, b) {
    const [rows, inner, columns] = [a.length, b.length, b[0].length];
    const result = new Array(rows);
    for (let i = 0; i < rows; i += 1) {
      const row = new Array(columns);
      for (let j = 0; j < columns; j += 1) {
        let sum = 0;
        for (let k = 0; k < inner; k += 1) sum += a[i][k] * b[k][j];
        row[j] = sum;
      }
      result[i] = row;
    }
    return result;
  }

  const product = (...factors) => factors.reduce(multiply);
  const apply = (a, v) => a.map((row) => dot(row, v));
  const dot = (v, w) => v.reduce((sum, value, i) => sum + value * w[i], 0);
  const trace = (a) => a.reduce((sum, row, i) => sum + row[i], 0);

  /** Singular values, descending, with left and right vectors as columns: one-sided Jacobi rotations of the columns. */
  function svd(matrix) {
    const columns = transpose(matrix);
    const right = identity(columns.length);
    for (let sweep = 0; sweep < 60; sweep += 1) {
      let largest = 0;
      for (let i = 0; i < columns.length - 1; i += 1) {
        for (let j = i + 1; j < columns.length; j += 1) {
          const a = dot(columns[i], columns[i]);
          const b = dot(columns[j], columns[j]);
          const c = dot(columns[i], columns[j]);
          if (c === 0 || Math.abs(c) <= 1e-17 * Math.sqrt(a * b)) continue;
          largest = Math.max(largest, Math.abs(c) / Math.sqrt(a * b));
          const slope = (b - a) / (2 * c);
          const tangent = Math.sign(slope || 1) / (Math.abs(slope) + Math.hypot(1, slope));
          const cosine = 1 / Math.hypot(1, tangent);
          rotate(columns, i, j, cosine, cosine * tangent);
          rotate(right, i, j, cosine, cosine * tangent);
        }
      }
      if (largest < 1e-15) break;
    }
    const sizes = columns.map((column) => Math.hypot(...column));
    const order = sizes.map((_, i) => i).sort((i, j) => sizes[j] - sizes[i] || i - j);
    return {
      values: order.map((i) => sizes[i]),
      left: transpose(order.map((i) => columns[i].map((value) => (sizes[i] > 0 ? value / sizes[i] : 0)))),
      right: transpose(order.map((i) => right[i])),
    };
  }

  function rotate(rows, i, j, cosine, sine) {
    const first = rows[i].map((value, k) => cosine * value - sine * rows[j][k]);
    rows[j] = rows[i].map((value, k) => sine * value + cosine * rows[j][k]);
    rows[i] = first;
  }

  /** The best approximation of rank r; the full rank is the matrix itself. */
  function truncate(matrix, rank) {
    if (rank >= Math.min(matrix.length, matrix[0].length)) return matrix;
    const { values, left, right } = svd(matrix);
    return matrix.map((row, i) =>
      row.map((_, j) => values.slice(0, rank).reduce((sum, value, k) => sum + value * left[i][k] * right[j][k], 0)),
    );
  }

  const ZERO = 1e-10;

  /** Number of singular values above 1e-10 of the largest. */
  function rank(matrix) {
    const { values } = svd(matrix);
    return values[0] === 0 ? 0 : values.filter((value) => value > ZERO * values[0]).length;
  }

  /** An orthonormal basis of the column space, as columns. */
  function range(matrix) {
    const { left } = svd(matrix);
    return left.map((row) => row.slice(0, rank(matrix)));
  }

  /** log Γ(x) and ψ(x), x > 0: upwards to 20 by the recurrence, there Stirling's series. */
  const SERIES = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160];

  function logGamma(x) {
    let shift = 0;
    for (; x < 20; x += 1) shift += Math.log(x);
    const terms = SERIES.reduce((sum, value, k) => sum + value / (2 * k + 1) / x ** (2 * k + 1), 0);
    return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + terms - shift;
  }

  function digamma(x) {
    let shift = 0;
    for (; x < 20; x += 1) shift += 1 / x;
    const terms = SERIES.reduce((sum, value, k) => sum + value / x ** (2 * k + 2), 0);
    return Math.log(x) - 1 / (2 * x) - terms - shift;
  }

  return {
    uniform, normal, identity, transpose, add, scale, multiply, product, apply, dot, trace, svd, truncate, rank, range,
    logGamma, digamma,
  };
})();
