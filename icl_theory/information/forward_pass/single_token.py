"""What sums over all demonstrations carry about a single one, in closed form or by one integral.

The forward pass of linear attention is a function of S = (1/N) Σ h_i h_iᵀ, whatever its depth, heads and weights. It
has no noise, so that I(W; H_s) = +inf; but a bound by single demonstrations needs I(W; h_1) alone, and by data
processing I(W; h_1) ≤ I(S; h_1), which is finite. All of it is new, that is, not in Y.
"""

import math

import numpy as np
from scipy.special import bernoulli, gammaln, ive, kve, psi

from icl_theory.core import checks

LARGEST_SHARE = 1 - 1e-6
"""Share of g up to which float64 resolves the law of the sum."""
_FAR = 1e8
_STIRLING, _TERMS = 30.0, 20
_STEP, _BELOW, _ABOVE = 0.01, 50.0, 5.0
"""Grid of log |s| around its typical size: what lies outside has a probability below 1e-16 for N ≥ 2."""


def second_moment_information(demonstrations: int, dimension: int) -> float:
    """I(S; h_1) in nats for N independent Gaussian tokens that span D dimensions: h(T_N) - h(T_{N-1}), T_N = Σ h hᵀ.

    I_1 = D/2 + ((N-D-2)/2) [ψ((N-D)/2) - ψ(N/2)] - ½ Σ_{i≤D} ψ((N-i+1)/2) + log Γ(N/2) - log Γ((N-D)/2), a difference
    of Wishart entropies; about D(D+1)/(4N). It does not depend on the covariance of the tokens.

    Args:
        demonstrations: N.
        dimension: D, of the span of the tokens.

    Returns: nats; +inf for N - 1 < D, where T_{N-1} has no density.
    Raises: ValueError for counts below 1.

    Example:
        >>> from icl_theory.information.forward_pass.single_token import second_moment_information
        >>> round(second_moment_information(80, 6), 6)
        0.136879
    """
    n = checks.integer("demonstrations", demonstrations, 1, None, "show at least one demonstration")
    d = checks.integer("dimension", dimension, 1, None, "tokens span at least one dimension")
    if n - 1 < d:
        return math.inf
    # The same, by i: ½ + a(x) - x b(x) + ((D+2-i)/2) b(x) at x = (N-i)/2, so that no large numbers cancel.
    return sum(_half_step((n - i) / 2, (d + 2 - i) / 2) for i in range(1, d + 1))


def _half_step(x: float, factor: float) -> float:
    """½ + a(x) - (x - `factor`) b(x), a = log Γ(x+½) - log Γ(x) - ½ ψ(x+½) and b = ψ(x+½) - ψ(x).

    From x = 30 on by Stirling's series in 1/x with Bernoulli's numbers: a result of order 1/x then loses no digits.
    """
    if x < _STIRLING:
        b = psi(x + 0.5) - psi(x)
        return float(0.5 + gammaln(x + 0.5) - gammaln(x) - psi(x + 0.5) / 2 - (x - factor) * b)
    k = np.arange(1, _TERMS)
    own = (-1.0) ** (k + 1) * bernoulli(_TERMS)[2:] / (k * (k + 1))  # of log Γ(x); B_1 stands alone in ψ below
    half = own * (2.0 ** (-k) - 1)  # B_n(½) = (2^{1-n} - 1) B_n
    powers = x ** (-k.astype(float))
    a = ((half - own) * powers).sum() + (k * half * powers).sum() / (2 * x)
    rest = (k * (own - half) * powers).sum() / x  # b = 1/(2x) + rest
    return float(a - x * rest + factor * (1 / (2 * x) + rest))


def readout_information(demonstrations: int, dimension: int, correlation: float = 0.0) -> float:
    """I(Σ_i k_i g_i; (k_1, g_1)) in nats for N independent Gaussian pairs: k in m dimensions, g a number.

    A one-layer model reads p = Σ_i k_i g_i / N with k_i = (rows of W_Qᵀ W_K) h_i and g_i = (label row of W_V) h_i. With
    ρ² the share of the variance of g that k explains, invertible maps turn the sum into s = |m| q e_1 + sqrt(q) z, with
    q ~ χ²_N, z ~ N(0, I), |m|² = ρ²/(1 - ρ²): a variance-gamma law, whose density contains one Bessel function. The
    information is h(s_N) - h(s_{N-1}), about m/(2N).

    Args:
        demonstrations: N, at least 2.
        dimension: m, the rank of the covariance of k.
        correlation: ρ² from 0 to 1 - 1e-6.

    Returns: nats, to about ten digits.
    Raises: ValueError for numbers out of range.

    Example:
        >>> from icl_theory.information.forward_pass.single_token import readout_information
        >>> 5 / 160 < readout_information(80, 5) < 1.1 * 5 / 160
        True
    """
    n = checks.integer("demonstrations", demonstrations, 2, None, "one demonstration alone has an infinite information")
    d = checks.integer("dimension", dimension, 1, None, "the readout has at least one dimension")
    share = checks.number("correlation", correlation, low=0.0, hint="pass ρ² from 0 to 1 - 1e-6")
    if share > LARGEST_SHARE:
        raise checks.error("correlation", f"{share:g}", "at most 1 - 1e-6", "drop the direction of k that is g itself")
    drift = share / (1 - share)
    return _entropy(n, d, drift) - _entropy(n - 1, d, drift)


def _entropy(n: int, d: int, drift: float) -> float:
    """h(s) of s = |m| q e_1 + sqrt(q) z, drift = |m|², by the trapezoidal rule in log |s|, where it converges fast."""
    order, kappa, size = (n - d) / 2, math.sqrt(1 + drift), math.sqrt(drift)
    typical = math.log(math.sqrt(n * d + drift * n * (n + 2)))
    t = np.arange(typical - _BELOW, typical + _ABOVE, _STEP)
    r = np.exp(t)
    constant = math.log(2) * (1 - n / 2) - gammaln(n / 2) - d / 2 * math.log(2 * math.pi)
    smooth = constant + order * (t - math.log(kappa)) + _log_bessel_k(abs(order), kappa * r)
    sphere, exponent = _log_sphere(d, size, r, t)
    # -κ r + |m| r, of which only the difference is small.
    weights = np.exp(smooth + sphere + t - np.where(exponent, r / (kappa + size), kappa * r)) * _STEP
    total = weights.sum()
    if not abs(total - 1) < 1e-9:
        raise checks.error("demonstrations", f"{n} with m = {d}", "a law that the grid resolves", "use fewer")
    # log f = m · s - κ |s| + smooth, and E m · s = |m|² N.
    return float((weights * kappa * r).sum() / total - drift * n - (weights * smooth).sum() / total)


def _log_sphere(d: int, size: float, r: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log ∫_{|s|=r} e^{m·s}: (2π)^{d/2} r^{d/2} |m|^{1-d/2} I_{d/2-1}(|m| r), or the surface of the sphere at m = 0.

    Without the factor e^{|m| r}, and where that belongs to it.
    """
    surface = math.log(2) + d / 2 * math.log(math.pi) - gammaln(d / 2) + (d - 1) * t
    x = size * r
    small = x < 1e-6  # there I_ν(x) is its first term to within x²
    with np.errstate(divide="ignore"):
        # scipy returns no value far out, where the first term of the asymptotic series is exact to within 1/x.
        bessel = np.where(x > _FAR, -0.5 * np.log(2 * np.pi * x), np.log(ive(d / 2 - 1, np.clip(x, 1e-6, _FAR))))
    large = d / 2 * (math.log(2 * math.pi) + t) + (1 - d / 2) * math.log(size if size > 0 else 1.0) + bessel
    return np.where(small, surface, large), ~small


def _log_bessel_k(order: float, x: np.ndarray) -> np.ndarray:
    """log (e^x K_ν(x)) by the recurrence of ratios K_{ν+1}/K_ν = K_{ν-1}/K_ν + 2ν/x, a sum of positive numbers."""
    first = order - math.floor(order)
    steps = math.floor(order)
    low, high = (np.where(x > _FAR, np.sqrt(np.pi / (2 * x)), kve(v, np.minimum(x, _FAR))) for v in (first, first + 1))
    log = np.log(low)
    with np.errstate(over="ignore"):
        ratio = np.where(np.isfinite(high), high / low, 2 * max(first, 0.5) / x)
    for k in range(steps):
        log = log + np.log(ratio)
        ratio = 1 / ratio + 2 * (first + 1 + k) / x
    return log
