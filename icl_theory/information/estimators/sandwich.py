"""Mutual information of a channel with a known conditional density, between a lower and an upper estimate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import logsumexp

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result
from icl_theory.information.covariance_roots import covariance_root
from icl_theory.information.estimators.channel import Channel, SharedChannel

# Nats below log K at which the lower end is called saturated. Calibrated: at I = log K it is 0.6 to 1.7 nats below its
# cap for K up to 2048, so that every I it cannot reach raises the flag (see
# tests/information/estimators/test_calibration.py).
SATURATION_MARGIN = 2.0


@fields_in_help
@dataclass(frozen=True, repr=False)
class Sandwich(Result):
    """Both ends of an information estimate, in nats.

    Example:
        >>> from icl_theory import Sandwich
        >>> Sandwich.infinite("more outputs than noise").upper.value
        inf
    """

    lower: Estimate
    """A lower bound in expectation, never above log K."""
    upper: Estimate
    """An upper bound in expectation."""
    saturated: bool
    """True where the lower end is within two nats of its cap log K: I may then lie above the cap, anywhere."""
    influence: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    """"lower" and "upper": what every sample adds to the end, as an output and as an input, shape (K,).

    The standard error of an end, or of its difference to another one on the same draws, is that of a mean of these.
    """

    @classmethod
    def infinite(cls, reason: str) -> "Sandwich":
        """Both ends at +inf: the conditional is singular with respect to the marginal.

        Args:
            reason: why, for the notes of both ends.
        """
        end = Estimate(float("inf"), note=reason)
        return cls(end, end, False)


def sandwich(channels: Sequence[Channel], *, prior: np.ndarray | None = None, block_entries: int = 2**23) -> Sandwich:
    """upper = E[log p_ii - log (1/(K-1)) Σ_{j≠i} p_ij], lower = E[log p_ii - log (1/K) Σ_j p_ij], p_ij = p(w_i|H_j).

    Several channels are independent given H: their log densities add. Memory is linear in K (blocks of rows).
    `prior` (K,), log q(w_i) of a fixed density q in the same coordinates, makes the mixture of the upper end half q,
    half the other inputs: still a density that does not know H_i, so still an upper bound, and at most log 2 above
    what q alone or the inputs alone give, however large the information.
    The standard error uses the influence of each sample both as an output and as an input of the others' mixtures.
    Calibrated on known channels (experiments/calibration.py): right up to about log K - 2 nats, but for the upper end
    too small where few outputs carry it, that is d = 1 above some 3 nats, or heavy tails; it then lies far above I.
    Source: Poole, Ozair, van den Oord, Alemi, Tucker 2019 (arXiv:1905.06922v1), with the conditional known.
    """
    count = channels[0].samples
    step = max(1, block_entries // count // 32)
    terms = {"upper": np.empty(count), "lower": np.empty(count)}
    shares = {"upper": np.zeros(count), "lower": np.zeros(count)}
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        log_p = channels[0].log_density(rows)
        for channel in channels[1:]:
            log_p += channel.log_density(rows)
        index = np.arange(rows.start, rows.stop)
        own = log_p[index - start, index]
        for end in ("lower", "upper"):
            if end == "upper":
                log_p[index - start, index] = -np.inf
            total = np.asarray(logsumexp(log_p, axis=1))
            level = total - np.log(count if end == "lower" else count - 1)
            if end == "upper" and prior is not None:
                mixed = np.logaddexp(level, prior[rows]) - np.log(2)
                total = total + np.log(2) + mixed - level  # a share is weighted by the mixture's own part
                level = mixed
            terms[end][rows] = own - level
            shares[end] += np.exp(log_p - total[:, None]).sum(axis=0)
    ends, influence = {}, {}
    for end in ("lower", "upper"):
        # The shares of one end sum to 1 on the mean: with them added back the influences have the mean of the end.
        influence[end] = terms[end] - shares[end] + shares[end].mean()
        error = Estimate.from_samples(influence[end]).stderr
        ends[end] = Estimate(float(terms[end].mean()), error, count, end)
    saturated = bool(ends["lower"].value > np.log(count) - SATURATION_MARGIN)
    return Sandwich(ends["lower"], ends["upper"], saturated, influence)


SKEW = 1e-9
"""Asymmetry relative to the largest entry that may still be rounding."""


def mutual_information(outputs: Any, means: Any, covariances: Any) -> Sandwich:
    """I(w; H) of a channel w | H ~ N(m(H), C(H)) from K independent pairs, between a lower and an upper end.

    Args:
        outputs: w_k, shape (K, d), or (K, n, d) for n observations that are independent given H.
        means: m(H_k), shape (K, d).
        covariances: C(H_k), shape (K, d, d), positive definite.

    Returns: `Sandwich` (lower, upper: `Estimate` in nats; saturated). Time O(K² d²), memory O(K (d² + d)).
    Raises: ValueError for wrong shapes, NaN, fewer than two pairs, or a covariance that is singular, indefinite or not
        symmetric.
    Source: Poole et al. 2019 (arXiv:1905.06922v1).

    Example:
        >>> import numpy as np
        >>> from icl_theory import mutual_information
        >>> means, noise = np.random.default_rng(0).standard_normal((2, 500, 1))
        >>> found = mutual_information(means + noise, means, np.ones((500, 1, 1)))
        >>> bool(found.lower.interval()[0] < np.log(2) / 2 < found.upper.interval()[1])
        True
    """
    outputs = np.asarray(outputs)
    if outputs.ndim == 2:
        outputs = outputs[:, None]
    outputs = checks.array("outputs", outputs, (None, None, None), "pass (K, d) or (K, n, d)")
    count, _, width = outputs.shape
    checks.integer("number of pairs K", count, 2, None, "draw at least two pairs")
    means = checks.array("means", means, (count, width))
    covariances = checks.array("covariances", covariances, (count, width, width))
    skew = np.abs(covariances - covariances.swapaxes(1, 2)).max((1, 2))
    if (skew > SKEW * np.abs(covariances).max((1, 2))).any():
        raise checks.error("covariances", "a matrix that is not symmetric", "symmetric ones", "pass (C + C.T) / 2")
    try:
        channel = SharedChannel.of(outputs, means, covariance_root(covariances))
    except np.linalg.LinAlgError:
        raise checks.error(
            "covariances",
            "a matrix that is not positive definite",
            "positive definite ones",
            "restrict them to their support",
        ) from None
    return sandwich([channel])
