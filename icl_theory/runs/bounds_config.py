"""What determines a bound-versus-rank run: options of the command line, checked before anything is trained.

Importing this file is quick: nothing heavy is loaded before `validate`.
"""

from dataclasses import dataclass
from typing import Literal

from icl_theory.models.options import Module

Model = Literal["trained", "gradient-descent", "optimum", "random"]


@dataclass(frozen=True)
class SweepConfig:
    """What determines a bound-versus-rank run, in plain numbers and strings."""

    model: Model = "trained"
    """Where the weights come from: an ensemble trained on the spot, gradient descent written into weights (step size
    b/(b + d + 1 + sigma^2)), the closed-form one-layer optimum, or random numbers."""
    dim: int = 5
    """Input dimension d; tokens have d + 1 entries."""
    layers: int = 1
    """Number of layers L."""
    heads: int = 1
    """Attention heads of a trained model."""
    hidden: int = 0
    """Hidden width of a linear MLP in every layer of a trained model; 0 for none."""
    demonstrations: int = 80
    """N, the demonstrations that the information is about."""
    shots: int = 20
    """b < N, the demonstrations shown, in training too."""
    noise_std: float = 0.5
    """Standard deviation of the label noise of demonstrations."""
    modules: tuple[Module, ...] = ("value",)
    """Which weights to truncate, one at a time."""
    ranks: tuple[int, ...] = ()
    """Ranks to keep; every rank from 1 to full if none is named."""
    rates: tuple[float, ...] = ()
    """Clipping rates 1 - rank/side instead of ranks, for instance 0 0.1 0.5 0.75; a rate that keeps nothing is an
    error."""
    layer_indices: tuple[int, ...] = ()
    """Layers to truncate, counted from 0; all if none is named."""
    samples: int = 512
    """Monte Carlo runs of every ladder."""
    tasks: int = 8
    """Task vectors over which bounds and gap are averaged."""
    seeds: int = 4
    """Models trained or drawn; a constructed model is a single one."""
    steps: int = 1000
    """Training steps."""
    clip: float = 4.0
    """c, where the squared error is clipped; also the trivial bound."""
    loss: Literal["clipped_squared", "zero_one"] = "clipped_squared"
    """Squared error clipped at c, or the 0-1 loss of the sign of the prediction."""
    floor: float = 0.0
    """Variance of the noise floor added on the support."""
    seed: int = 0
    """Seed of everything random."""


def validate(config: SweepConfig) -> None:
    """Raise before minutes of training what would be raised after it. Raises: ValueError."""
    from icl_theory.core import checks
    from icl_theory.truncation.module_truncation import rank_of_rate

    checks.integer("dim", config.dim, 1, None, "use at least one input dimension")
    checks.integer("layers", config.layers, 1, 1 if config.model == "optimum" else None, "the optimum has one layer")
    count = checks.integer("demonstrations", config.demonstrations, 2, None, "noise needs two demonstrations")
    checks.integer("shots", config.shots, 1, count - 1, "show at least one and not all of them")
    for name in ("tasks", "seeds", "steps", "heads"):
        checks.integer(name, getattr(config, name), 1, None, "use at least 1")
    checks.integer("hidden", config.hidden, 0, None, "pass 0 for no MLP")
    if config.model != "trained" and (config.heads, config.hidden) != (1, 0):
        got = f"a {config.model} model with heads {config.heads} and hidden {config.hidden}"
        raise checks.error("model", got, "one head and no MLP", "use --model trained")
    checks.integer("samples", config.samples, 16, None, "fewer give no honest error bar")
    checks.integer("seed", config.seed, 0, 2**31 - 1, "pass a whole number")
    checks.number("noise_std", config.noise_std, low=0.0, hint="pass 0 for clean labels")
    checks.number("clip", config.clip, low=0.0, strict=True, hint="clip the loss at a positive value")
    checks.number("floor", config.floor, low=0.0, hint="pass a noise variance of 0 or more")
    _require_modules(config)
    side = _side(config)
    for rank in config.ranks:
        checks.integer("ranks", rank, 0, side, f"the smallest side among {' '.join(config.modules)} is {side}")
    if config.ranks and config.rates:
        raise checks.error("rates", "also ranks", "one of the two", "drop one of them")
    for rate in config.rates:
        rank_of_rate(rate, side, side)
    for layer in config.layer_indices:
        checks.integer("layer_indices", layer, 0, config.layers - 1, "layers are counted from 0")


def _require_modules(config: SweepConfig) -> None:
    """Check that the model will have the modules. Raises: ValueError."""
    from icl_theory.core import checks
    from icl_theory.truncation.module_truncation import MODULES

    for module in config.modules:
        checks.choice("modules", module, MODULES)
    if "mlp" in config.modules and config.hidden == 0:
        raise checks.error("modules", "'mlp' of a model without an MLP", "a module it has", "pass --hidden")


def _side(config: SweepConfig) -> int:
    """The smallest side of the matrices that some module of the sweep truncates: no rank can be larger."""
    narrow = config.hidden and any(module in ("mlp", "all") for module in config.modules)
    return min(config.dim + 1, config.hidden) if narrow else config.dim + 1
