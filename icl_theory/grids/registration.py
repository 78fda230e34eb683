"""What was registered: the grid of models and edits, and the findings that are read off it."""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, get_args

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.grids.finding import Finding, GridName, Judgement, Level, ProfileName

FOLDER = Path(__file__).parent / "registered"
GRID_FILE = "grid"
FOLDERS: dict[GridName, Path] = {"edits": FOLDER, "prediction": FOLDER / "prediction"}
"""Where the files of a grid are."""

TRAINED_FOR = {"short": "short", "converged": "long", "finite": "finite", "noisy": "long", "shifted": "long"}
"""The training that the models of a regime come from."""


@fields_in_help
@dataclass(frozen=True)
class Unit:
    """One ensemble of trained models: what a shard of a run is made of."""

    attention: str
    mlp: str
    task: str
    training: str
    """"short", "long" or "finite"."""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from others."""
        return self.attention, self.mlp, self.task, self.training

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.attention}, MLP {self.mlp}, {self.task}, {self.training}"


@fields_in_help
@dataclass(frozen=True)
class Grid:
    """What is trained and edited, in one profile.

    Example:
        >>> from icl_theory.grids import grid
        >>> grid("quick").units[0].name
        'linear, MLP none, regression, short'
    """

    profile: ProfileName
    seed: int
    dim: int
    layers: int
    training_shots: int
    batch: int
    hidden: int
    ranks: tuple[int, ...]
    random_directions: int
    factors: dict[str, tuple[Level, ...]]
    """Levels by name of factor."""
    tasks: dict[str, float]
    regimes: dict[str, float]
    seeds: int
    """Models of a unit."""
    validation: int
    """Prompts on which ranks and layers are chosen."""
    test: int
    """Prompts on which is reported."""
    judgement: Judgement

    @property
    def units(self) -> list[Unit]:
        """Every ensemble, in a fixed order."""
        names = ("attention", "mlp", "task")
        trainings = dict.fromkeys(TRAINED_FOR[str(regime)] for regime in self.factors["regime"])
        return [
            Unit(str(attention), str(mlp), str(task), training)
            for attention, mlp, task in product(*(self.factors[name] for name in names))
            for training in trainings
        ]

    def regimes_of(self, unit: Unit) -> list[str]:
        """The regimes whose models are those of the unit.

        Args:
            unit: an ensemble.
        """
        return [str(regime) for regime in self.factors["regime"] if TRAINED_FOR[str(regime)] == unit.training]


def grid(profile: ProfileName = "full") -> Grid:
    """The registered grid.

    Args:
        profile: "full", or "quick" with fewer levels, seeds and steps.

    Raises: ValueError for another profile.

    Example:
        >>> from icl_theory.grids import grid
        >>> registered = grid("full")
        >>> len(registered.units), registered.seeds, registered.factors["shots"]
        (54, 16, (0, 4, 10, 20, 40))
    """
    text, own = profile_of("edits", profile)
    factors = {name: tuple(levels) for name, levels in (text["factors"] | own.pop("factors", {})).items()}
    regimes = text["regimes"] | {name: own.pop(name) for name in [*own] if name in text["regimes"]}
    plain = ("seed", "dim", "layers", "training_shots", "batch", "hidden", "random_directions")
    return Grid(
        profile=profile,
        **{name: text[name] for name in plain},
        ranks=tuple(text["ranks"]),
        factors=factors,
        tasks=text["tasks"],
        regimes=regimes,
        **own,
        judgement=Judgement(**text["judgement"]),
    )


def profile_of(name: GridName, profile: ProfileName) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the file of a grid says, and what it says of a profile alone.

    Args:
        name: of the grid.
        profile: "quick" or "full".

    Raises: ValueError for another profile.
    """
    checks.choice("profile", profile, get_args(ProfileName))
    text = _read(FOLDERS[name] / f"{GRID_FILE}.toml")
    return text, dict(text["profiles"][profile])


@lru_cache(maxsize=1)
def findings() -> dict[str, Finding]:
    """Every registered finding by name, of all grids.

    Example:
        >>> from icl_theory.grids import findings
        >>> findings()["clipping_helps"].margin
        {'regression': 0.01, 'classification': 0.005}
    """
    found: dict[str, Finding] = {}
    for name, folder in FOLDERS.items():
        paths = sorted(path for path in folder.glob("*.toml") if path.stem != GRID_FILE)
        found |= {path.stem: _finding(path, name) for path in paths}
    return found


def digests(name: GridName = "edits") -> dict[str, str]:
    """SHA-256 of every registered file of a grid by its name: a record holds those of the day of its run.

    Args:
        name: of the grid.
    """
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(FOLDERS[name].glob("*.toml"))}


def _finding(path: Path, grid_name: GridName) -> Finding:
    text = _read(path)
    text["registered"] = text["registered"].isoformat()
    text["factors"] = tuple(text["factors"])
    text["levels"] = {factor: tuple(levels) for factor, levels in text.get("levels", {}).items()}
    return Finding(name=path.stem, grid=grid_name, **text)


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
