"""What the information becomes for many demonstrations: closed forms in N, b, L and the dimension of the support.

A noisy observation X ~ N(S, C_X) of S = (1/N) Σ h hᵀ has Cov S = Γ/N and E C_X = (1/b - 1/N) Γ with Γ = Cov svec(h hᵀ),
so that the signal-to-noise ratio b/(N - b) is the same in every direction, whatever the data and whatever invertible
weights. All of it is new, that is, not in Y (arXiv:2406.03768v2).
"""

import math

from icl_theory.core import checks


def _ratio(demonstrations: int, shots: int) -> float:
    """b / (N - b)."""
    demonstrations = checks.integer("demonstrations", demonstrations, 2, None, "noise needs two demonstrations")
    return shots / (demonstrations - checks.integer("shots", shots, 1, demonstrations - 1, "show 1 to N - 1"))


def observation_information(dimension: int, demonstrations: int, shots: int, layers: int = 1) -> float:
    """½ d_S log(1 + L b/(N - b)): the large-N information of L independent noisy observations of S; at L = 1 ½ d_S
    log(N/(N-b)).

    Args:
        dimension: d_S of every layer.
        demonstrations: N.
        shots: b < N.
        layers: L.

    Returns: nats.
    Raises: ValueError for anything out of range.
    """
    dimension = checks.integer("dimension", dimension, 0, None, "pass d_S")
    layers = checks.integer("layers", layers, 0, None, "pass the number of observations")
    return 0.5 * dimension * math.log1p(layers * _ratio(demonstrations, shots))


def fourth_moment(width: int) -> float:
    """E |z|⁴ of z = Γ^{-1/2} (svec h hᵀ - svec Σ) for Gaussian tokens h of dimension q; Γ^{-1/2} makes it free of Σ.

    At Σ = I: |z|² = (R² - 2R + q)/2 with R = |h|² ~ χ²_q, whose moments are q, q(q+2), ...
    """
    q = checks.integer("width", width, 1, None, "pass the dimension of the tokens")
    second = q * (q + 2)
    third = second * (q + 4)
    return (third * (q + 6) - 4 * third + (4 + 2 * q) * second - 3 * q**2) / 4


def observation_correction(width: int, demonstrations: int) -> float:
    """(E|z|⁴ - d_S) / (4N), d_S = q(q+1)/2: the 1/N term of ½ [log det E C_X - E log det C_X] for Gaussian tokens.

    From log det(I + Δ) = tr Δ - ½ tr Δ² + ..., E tr Δ² = (E|z|⁴ - d_S)/N. It is what one layer of the Gaussian rung
    adds to `observation_information`, since C_X depends on the demonstrations and the prior has one covariance.

    Args:
        width: q, the dimension of the tokens' subspace.
        demonstrations: N.

    Returns: nats.
    """
    return (fourth_moment(width) - width * (width + 1) / 2) / (4 * demonstrations)
