"""How much a run does."""

from dataclasses import dataclass
from typing import Literal

ProfileName = Literal["quick", "full"]


@dataclass(frozen=True)
class Profile:
    """How many cases of each kind, and how long to train."""

    seeds: int
    """Seeds of random and trained weights."""
    samples: int
    """Monte Carlo runs of every ladder."""
    steps: dict[int, int]
    """Training steps by number of layers."""
    scalar_samples: int
    """Runs of the one-dimensional counterexample."""
    trained_seeds: int = 12
    """Trained seeds behind a statement about their mean; the first `seeds` of them serve all other claims."""


PROFILES: dict[ProfileName, Profile] = {
    "quick": Profile(seeds=4, samples=1024, steps={1: 1000, 3: 2000}, scalar_samples=400_000, trained_seeds=12),
    "full": Profile(seeds=16, samples=2048, steps={1: 2000, 3: 6000}, scalar_samples=4_000_000, trained_seeds=32),
}
