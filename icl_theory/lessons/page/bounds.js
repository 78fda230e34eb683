"use strict";
// The dimension of the noise, closed forms of the information in nats, the bounds that follow, the exact risk.

const bounds = (() => {
  const { apply, digamma, dot, logGamma, multiply, range, rank, trace, transpose } = numerics;
  const DIM = 2;

  /** d_S = rank(A) rank(B) - k(k-1)/2, k the dimension of (row space of A) ∩ (column space of B). */
  function support(left, right) {
    const [a, b] = [rank(left), rank(right)];
    if (a === 0 || b === 0) return 0;
    const both = range(transpose(left)).map((row, i) => [...row, ...range(right)[i]]);
    const common = a + b - rank(both);
    return a * b - (common * (common - 1)) / 2;
  }

  const supportOf = ({ value, key, query }) => support(value, multiply(transpose(key), query));

  /** Dimensions of what the prediction of one layer reads: the rank of W_KᵀW_Q on the inputs, if W_V has a label row. */
  function readoutOf({ value, key, query }) {
    const columns = multiply(transpose(key), query).map((row) => row.slice(0, DIM));
    return value[DIM].some((entry) => Math.abs(entry) > 1e-10) ? rank(columns) : 0;
  }

  /** ½ d log(N/(N-b)): what a noisy mean of b of N demonstrations says of all N, in d directions, for large N. */
  const observed = (dimension, total, shots) => 0.5 * dimension * Math.log(total / (total - shots));

  /** I(S; h_1) for N Gaussian tokens in D dimensions; infinite for N - 1 < D. */
  function wishart(count, dimension) {
    if (count - 1 < dimension) return Infinity;
    let sum = 0;
    for (let i = 1; i <= dimension; i += 1) {
      const x = (count - i) / 2;
      const b = digamma(x + 0.5) - digamma(x);
      const a = logGamma(x + 0.5) - logGamma(x) - digamma(x + 0.5) / 2;
      sum += 0.5 + a - (x - (dimension + 2 - i) / 2) * b;
    }
    return sum;
  }

  /** gap ≤ sqrt(2 R² I / N) with R = c/2. */
  const bound = (information, total, clip) => Math.sqrt((2 * (clip / 2) ** 2 * information) / total);

  /** E (p - w)ᵀ Λ (p - w) of one layer with readout minus: moments of a Wishart matrix, w standard normal. */
  function exactRisk({ value, key, query }, state) {
    const lambda = [1, state.spread];
    const v = value[DIM];
    const product = multiply(transpose(key), query);
    const right = product.map((row) => row.slice(0, DIM));
    const a = right.map((row) => right.map((other) => row.reduce((sum, x, j) => sum + lambda[j] * x * other[j], 0)));
    const q1 = lambda[0] + lambda[1];
    const q2 = q1 ** 2 + 2 * (lambda[0] ** 2 + lambda[1] ** 2);
    const noise = state.noise ** 2;
    // Σ_w v = u0 + u1 w + u2 wᵀΛw
    const moved = lambda.map((size, j) => size * v[j]);
    const u0 = [...moved, v[DIM] * noise];
    const u1 = [[v[DIM] * lambda[0], 0], [0, v[DIM] * lambda[1]], moved];
    const u2 = [0, 0, v[DIM]];
    const form = (matrix) =>
      dot(u0, apply(matrix, u0)) +
      trace(multiply(transpose(u1), multiply(matrix, u1))) +
      q1 * (dot(u0, apply(matrix, u2)) + dot(u2, apply(matrix, u0))) +
      q2 * dot(u2, apply(matrix, u2));
    const t0 = lambda.reduce((sum, size, j) => sum + size * a[j][j], 0) + a[DIM][DIM] * noise;
    const t1 = lambda.map((size, j) => size * (a[j][DIM] + a[DIM][j]));
    const t2 = a[DIM][DIM];
    const s0 = lambda.reduce((sum, size, j) => sum + size * v[j] ** 2, 0) + v[DIM] ** 2 * noise;
    const s1 = lambda.map((size, j) => 2 * size * v[DIM] * v[j]);
    const s2 = v[DIM] ** 2;
    const spread = t0 * s0 + (t0 * s2 + t2 * s0) * q1 + t2 * s2 * q2 + dot(t1, s1);
    const square = form(a) + (form(transpose(a)) + spread) / state.shots;
    const cross = [0, 1].reduce(
      (sum, j) => sum + lambda[j] * u1.reduce((inner, row, i) => inner + row[j] * right[i][j], 0),
      0,
    );
    return square + 2 * cross + q1;
  }

  return { support, supportOf, readoutOf, observed, wishart, bound, exactRisk };
})();
