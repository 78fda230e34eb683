"""Which factors of a grid decide a finding, and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result
from icl_theory.grids.finding import Cell, Level


@fields_in_help
@dataclass(frozen=True, repr=False)
class FactorEffect(Result):
    """How much of the scatter of a finding over cells a factor accounts for.

    The score of a cell is (seeds for - seeds against) / seeds, from -1 to 1.

    Example:
        >>> from icl_theory.grids import findings, judge, shipped
        >>> effects = judge(findings()["conditions_grow"], shipped("edits")).factors
        >>> {effect.name for effect in effects} == {"attention", "mlp", "task", "training", "matrix"}
        True
    """

    name: str
    share: float
    """η² = Σ_levels n (mean score of the level - mean score)² / Σ_cells (score - mean score)², from 0 to 1."""
    low: float
    """Lower end of its interval over seeds, by the jackknife."""
    high: float
    """Its upper end."""
    scores: dict[Level, float]
    """Mean score by level."""


def factor_effects(names: Sequence[str], cells: Sequence[Cell], values: np.ndarray, level: float) -> list[FactorEffect]:
    """η² of every factor, the largest first, each with Student's interval from the jackknife over seeds.

    Leaving one seed out of all cells at once is right whether or not the seeds of two cells are those of one ensemble.

    Args:
        names: of the factors.
        cells: the levels of every cell.
        values: shape (cells, seeds).
        level: of the intervals.

    Returns: `FactorEffect` of each factor with more than one level.
    """
    # As a cell counts its seeds: one without a number is neither for nor against.
    signs, seeds = (values > 0).astype(float) - (values < 0), values.shape[1]
    left_out = [np.delete(signs, seed, axis=1).mean(axis=1) for seed in range(seeds)]
    scores = np.array([signs.mean(axis=1), *left_out])
    width = float(stdtrit(seeds - 1, (1 + level) / 2))
    effects = [_effect(name, [cell[name] for cell in cells], scores, width) for name in names]
    return sorted((e for e in effects if len(e.scores) > 1), key=lambda effect: -effect.share)


def _effect(name: str, levels: Sequence[Level], scores: np.ndarray, width: float) -> FactorEffect:
    """`scores` has a row for all seeds and one without each of them."""
    masks = {level: np.array([other == level for other in levels]) for level in dict.fromkeys(levels)}
    means = {level: scores[:, mask].mean(axis=1) for level, mask in masks.items()}
    centre = scores.mean(axis=1)
    between = sum(masks[level].sum() * (mean - centre) ** 2 for level, mean in means.items())
    total = ((scores - centre[:, None]) ** 2).sum(axis=1)
    shares = np.where(total > 0, between / np.where(total > 0, total, 1.0), 0.0)
    without, seeds = shares[1:], len(shares) - 1
    half = width * float(np.sqrt((seeds - 1) / seeds * ((without - without.mean()) ** 2).sum()))
    share, by_level = float(shares[0]), {level: float(mean[0]) for level, mean in means.items()}
    return FactorEffect(name, share, share - half, share + half, by_level)
