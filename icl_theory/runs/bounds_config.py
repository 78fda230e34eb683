"""What determines a bound-versus-rank run: options of the command line, checked before anything is trained.

Importing this file is quick: nothing heavy is loaded before `validate`.
"""

from dataclasses import dataclass
from typing import Literal

from icl_theory.models.options import Components, Module
from icl_theory.runs.model_config import ModelSourceConfig, require_modules, validate_source
from icl_theory.runs.train_config import make_task


@dataclass(frozen=True, kw_only=True)
class SweepConfig(ModelSourceConfig):
    """What determines a bound-versus-rank run, in plain numbers and strings."""

    demonstrations: int = 80
    """N, the demonstrations that the information is about."""
    shots: int = 20
    """b < N, the demonstrations shown, in training too."""
    modules: tuple[Module, ...] = ("value",)
    """Which weights to truncate, one at a time."""
    ranks: tuple[int, ...] = ()
    """Ranks to keep; every rank from 1 to full if none is named."""
    rates: tuple[float, ...] = ()
    """Clipping rates 1 - rank/side instead of ranks, for instance 0 0.1 0.5 0.75; a rate that keeps nothing is an
    error."""
    layer_indices: tuple[int, ...] = ()
    """Layers to truncate, counted from 0; all if none is named."""
    together: bool = False
    """Truncate the layers at once, to the same rank, instead of one at a time."""
    components: Components = "largest"
    """Singular components that a rank keeps: the largest, or the smallest, to see what the others carry."""
    samples: int = 512
    """Monte Carlo runs of every ladder."""
    tasks: int = 8
    """Task vectors over which bounds and gap are averaged."""
    clip: float = 4.0
    """c, where the squared error is clipped; also the trivial bound."""
    loss: Literal["clipped_squared", "zero_one"] = "clipped_squared"
    """Squared error clipped at c, or the 0-1 loss of the sign of the prediction."""
    floor: float = 0.0
    """Variance of the noise floor added on the support."""


def validate(config: SweepConfig) -> None:
    """Raise before minutes of training what would be raised after it, for a `resolved` configuration.

    Raises: ValueError.
    """
    from icl_theory.core import checks
    from icl_theory.information.ladder.losses import loss_range
    from icl_theory.truncation.module_truncation import rank_of_rate

    validate_source(config)
    task = make_task(config)
    count = checks.integer("demonstrations", config.demonstrations, 2, None, "noise needs two demonstrations")
    checks.integer("shots", config.shots, 1, count - 1, "show at least one and not all of them")
    checks.integer("tasks", config.tasks, 1, None, "use at least 1")
    checks.integer("samples", config.samples, 16, None, "fewer give no honest error bar")
    checks.number("clip", config.clip, low=0.0, strict=True, hint="clip the loss at a positive value")
    loss_range(config.loss, config.clip, task)
    checks.number("floor", config.floor, low=0.0, hint="pass a noise variance of 0 or more")
    side = require_modules(config, config.modules)
    for rank in config.ranks:
        checks.integer("ranks", rank, 0, side, f"the smallest side among {' '.join(config.modules)} is {side}")
    if config.ranks and config.rates:
        raise checks.error("rates", "also ranks", "one of the two", "drop one of them")
    for rate in config.rates:
        rank_of_rate(rate, side, side)
    for layer in config.layer_indices:
        checks.integer("layer_indices", layer, 0, config.layers - 1, "layers are counted from 0")
    count = len(set(config.layer_indices) or range(config.layers))
    if config.together and count < 2:
        raise checks.error("together", f"{count} layer", "at least two", "name more layers, or leave it out")
