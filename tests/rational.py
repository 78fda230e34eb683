"""The risk of one layer at d = 1 in exact fractions, every moment token by token."""

import itertools
from fractions import Fraction
from math import prod
from typing import Any


def gaussian_moment(power: int, variance: Fraction) -> Fraction:
    """E z^power, z ~ N(0, variance)."""
    if power % 2:
        return Fraction(0)
    return prod((Fraction(k) for k in range(1, power, 2)), start=Fraction(1)) * variance ** (power // 2)


def uniform_moment(power: int, variance: Fraction) -> Fraction:
    """E x^power, x uniform on [-a, a] with a² = 3 variance: a^power / (power + 1)."""
    return Fraction(0) if power % 2 else (3 * variance) ** (power // 2) / (power + 1)


def rational_risk(
    heads: list[tuple[list[int], list[int]]],
    lam: int,
    omega: int,
    noise: Fraction,
    shots: int,
    input_moment: Any = gaussian_moment,
    noise_moment: Any = gaussian_moment,
) -> Fraction:
    """d_x = 1: E λ (p - w)² with p = -Σ_heads v_i S_ij b_j, every moment token by token, nothing assumed Wishart."""

    # The summand -Σ_heads v·h b·h of one token h = (x, w x + ε) as a polynomial in (x, w, ε): {(powers): coefficient}.
    def times(f: dict, g: dict) -> dict:
        out: dict = {}
        for (a, c), (e, k) in itertools.product(f.items(), g.items()):
            power = tuple(i + j for i, j in zip(a, e, strict=True))
            out[power] = out.get(power, 0) + c * k
        return out

    def linear(u: list[int]) -> dict:
        return {(1, 0, 0): u[0], (1, 1, 0): u[1], (0, 0, 1): u[1]}

    def given_w(f: dict) -> dict:
        """Expectation over x and ε: a polynomial in w, {power: coefficient}."""
        out: dict = {}
        for (x, w, e), c in f.items():
            out[w] = out.get(w, 0) + c * input_moment(x, Fraction(lam)) * noise_moment(e, noise)
        return out

    one: dict = {}
    for v, b in heads:
        for k, c in times(linear(v), linear(b)).items():
            one[k] = one.get(k, 0) - c
    mean, square = given_w(one), given_w(times(one, one))
    total = Fraction(0)
    for k, c in square.items():  # the N diagonal pairs of E p²
        total += Fraction(1, shots) * c * gaussian_moment(k, Fraction(omega))
    for (i, c), (j, k) in itertools.product(mean.items(), mean.items()):  # the other N (N - 1) pairs
        total += Fraction(shots - 1, shots) * c * k * gaussian_moment(i + j, Fraction(omega))
    for i, c in mean.items():
        total -= 2 * c * gaussian_moment(i + 1, Fraction(omega))
    return lam * (total + omega)
