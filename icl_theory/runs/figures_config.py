"""What determines the figures of the paper. Importing it is quick."""

from dataclasses import dataclass
from typing import Literal

FigureName = Literal[
    "clipping_by_layer",
    "clipping_by_shots",
    "conditions",
    "algorithm_1",
    "least_squares",
    "deep_shallow",
    "findings",
    "exact_gain",
    "ladder",
    "readout",
    "information_and_dimension",
    "truncation_trap",
    "theorem_2",
    "noise_quantiles",
    "agreement",
    "task_rank",
]
"""Figures 1, 2, 3, 4 and 5 of the paper in their synthetic counterparts, then our own."""


@dataclass(frozen=True, kw_only=True)
class FiguresConfig:
    """Which figures are drawn, and from how much."""

    figures: tuple[FigureName, ...] = ()
    """Names of figures; all if none is named."""
    profile: Literal["quick", "full"] = "quick"
    """4 seeds for every model that is trained for a figure, or 16; the figures of the grid have its own."""
    seed: int = 0
    """Seed of everything random."""
