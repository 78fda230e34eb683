"""One verdict from a sample of trained seeds: the mean of their margins, with one error bar over seeds.

A statement about trained models is a statement about the distribution that training draws them from. Each seed i gives
one margin m_i in favour of it (predicted - measured for "at most", the reverse for "at least"); the seeds are
independent, each with its own weights, training and test prompts. With n of them

    m̄ ± t_{n-1}(1 - α) s/sqrt(n),    m̄ the mean, s² the sample variance of the m_i,

is an interval for the mean of the population; it covers the sampling of test prompts too, since each seed has its own.
The statement holds if the whole interval lies above 0, fails if it lies below, and is not decided in between. A measure
that takes the worst of several noisy numbers within a seed leans against its statement: that only strengthens what
holds, and what fails is to be seen in one of the numbers alone as well (a control of those claims).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from icl_theory.claims.engine.check import Evidence, margin
from icl_theory.claims.engine.claim import Claim, Verdict
from icl_theory.core import checks
from icl_theory.core.estimate import Estimate

ALPHA = 1e-3
"""α: how often the interval misses the true mean on one side by chance, for normal margins. Fixed beforehand: a fifth
of the one false alarm in 200 runs that a statistical claim may have."""


EQUAL_TOLERANCE = 1e-12
"""Spread, relative to the mean, up to which margins count as equal: rounding."""


@dataclass(frozen=True)
class SeedInterval:
    """What the seeds say together; margins in the units of what the claim measures, above 0 in its favour."""

    seeds: int
    """n, those for which the claim had a number."""
    mean: float
    """m̄."""
    stderr: float
    """s/sqrt(n), over seeds."""
    quantile: float
    """t_{n-1}(1 - α), Student's, since the seeds are few."""
    low: float
    """m̄ - t s/sqrt(n)."""
    high: float
    """m̄ + t s/sqrt(n)."""
    seeds_for: int
    """Seeds with m_i > 0."""
    seeds_against: int
    """Seeds with m_i < 0."""
    chance: float = ALPHA
    """α."""

    @property
    def verdict(self) -> Verdict:
        """HOLDS if the interval lies above 0, FAILS if below; touching 0 decides nothing.

        Equal margins have an interval without width, whatever their number; that they agree in sign has the chance
        2^{-n}, and decides only if that is at most α.
        """
        alike = self.stderr <= EQUAL_TOLERANCE * abs(self.mean)
        if alike and 0.5**self.seeds > self.chance:
            return Verdict.INCONCLUSIVE
        if self.low > 0:
            return Verdict.HOLDS
        return Verdict.FAILS if self.high < 0 else Verdict.INCONCLUSIVE


def seed_interval(margins: Sequence[float]) -> SeedInterval | None:
    """The summary of at least two finite margins, one per seed; None otherwise."""
    values, count = np.asarray(margins, dtype=np.float64), len(margins)
    if count < 2 or not np.isfinite(values).all():
        return None
    found = Estimate.from_samples(values)
    mean, stderr = found.value, found.stderr
    quantile = -float(stdtrit(count - 1, ALPHA))
    low, high = mean - quantile * stderr, mean + quantile * stderr
    return SeedInterval(count, mean, stderr, quantile, low, high, int((values > 0).sum()), int((values < 0).sum()))


def interval_over_seeds(claim: Claim, evidence: Sequence[Evidence]) -> SeedInterval | None:
    """The summary over a population claim's cases; those outside its assumptions have no number and are left out.

    Returns: `SeedInterval`; None for a claim of another kind, fewer than two seeds, or a number that is not finite.
    Raises: ValueError for a relation that is no inequality.
    """
    if not claim.over_seeds:
        return None
    checks.choice("relation of a population", claim.relation, ("at most", "at least"))
    return seed_interval([float(margin(claim.relation, e.measured, e.predicted)) for e in _inside(evidence)])


def verdict_over_seeds(claim: Claim, evidence: Sequence[Evidence]) -> Verdict:
    """The verdict of a population claim: that of the interval, INCONCLUSIVE where one seed cannot give any."""
    inside = _inside(evidence)
    if not inside:
        return Verdict.OUTSIDE
    if any(item.verdict == Verdict.NONFINITE for item in inside):
        return Verdict.NONFINITE
    found = interval_over_seeds(claim, evidence)
    return Verdict.INCONCLUSIVE if found is None else found.verdict


def _inside(evidence: Sequence[Evidence]) -> list[Evidence]:
    return [item for item in evidence if item.verdict != Verdict.OUTSIDE]
