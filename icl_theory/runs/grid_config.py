"""What determines a run of the registered grid, checked before anything is trained. Importing it is quick."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """Which profile of the grid is run, and which part of it."""

    grid: Literal["edits", "prediction"] = "edits"
    """Trained models of many kinds and edits of their weights, or one-layer models and what bounds say of them."""
    profile: Literal["quick", "full"] = "quick"
    """Levels, seeds and steps; the full grid of edits took 75 minutes in two parts, that of prediction four minutes."""
    shard: str = "1/1"
    """i/n: only every n-th ensemble, from the i-th on; --merge puts the shards together."""


def shard_of(config: GridConfig) -> tuple[int, int]:
    """i and n, 1 ≤ i ≤ n.

    Raises: ValueError for anything else.
    """
    from icl_theory.core import checks

    part, slash, parts = config.shard.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise checks.error("shard", repr(config.shard), "i/n with 1 ≤ i ≤ n", "write 2/5 for the second of five")
    return int(part), int(parts)
