"""What determines a bound-versus-rank run: options of the command line, checked before anything is trained.

Importing this file is quick: nothing heavy is loaded before `validate`.
"""

from dataclasses import dataclass
from typing import Literal

from icl_theory.models.layouts import Layout
from icl_theory.models.options import Components, Module
from icl_theory.runs.given_model import require_no_layout
from icl_theory.runs.train_config import TaskConfig, make_task

MADE = ("trained", "gradient-descent", "optimum", "random")
"""Models that the run makes itself; any other word is the path of a file."""


@dataclass(frozen=True, kw_only=True)
class SweepConfig(TaskConfig, Layout):
    """What determines a bound-versus-rank run, in plain numbers and strings."""

    model: str = "trained"
    """Where the weights come from: trained (an ensemble, on the spot), gradient-descent (written into weights, with
    step size b/(b + d + 1 + sigma^2)), optimum (the closed form of one layer), random, or a path: an npz or
    safetensors file, or the directory of `icl-theory train`. The options from names to readout say how a file of
    somebody else is to be read."""
    noise_std: float = 0.5
    """Standard deviation of the label noise of demonstrations, where the labels are numbers."""
    layers: int = 1
    """Number of layers L; that of a file is its own."""
    heads: int = 1
    """Attention heads of a trained model."""
    hidden: int = 0
    """Hidden width of a linear MLP in every layer of a trained model; 0 for none."""
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
    """Raise before minutes of training what would be raised after it, for a `resolved` configuration.

    Raises: ValueError.
    """
    from icl_theory.core import checks
    from icl_theory.information.ladder.losses import loss_range
    from icl_theory.truncation.module_truncation import rank_of_rate

    task = make_task(config)
    _require_used(config)
    if config.model == "gradient-descent" and task.outputs > 1:
        got = f"gradient descent for labels of {task.outputs} entries"
        raise checks.error("model", got, "a task with one number as label", "use --model trained")
    checks.integer("layers", config.layers, 1, 1 if config.model == "optimum" else None, "the optimum has one layer")
    count = checks.integer("demonstrations", config.demonstrations, 2, None, "noise needs two demonstrations")
    checks.integer("shots", config.shots, 1, count - 1, "show at least one and not all of them")
    for name in ("tasks", "seeds", "steps", "heads"):
        checks.integer(name, getattr(config, name), 1, None, "use at least 1")
    checks.integer("hidden", config.hidden, 0, None, "pass 0 for no MLP")
    checks.integer("samples", config.samples, 16, None, "fewer give no honest error bar")
    checks.integer("seed", config.seed, 0, 2**31 - 1, "pass a whole number")
    checks.number("clip", config.clip, low=0.0, strict=True, hint="clip the loss at a positive value")
    loss_range(config.loss, config.clip, task)
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
    count = len(set(config.layer_indices) or range(config.layers))
    if config.together and count < 2:
        raise checks.error("together", f"{count} layer", "at least two", "name more layers, or leave it out")


def _require_used(config: SweepConfig) -> None:
    """Raises: ValueError for an option that this model would ignore."""
    from icl_theory.core import checks

    usual, own = SweepConfig(), {"trained": ("heads", "hidden", "steps", "seeds"), "random": ("seeds",)}
    for name in ("heads", "hidden", "steps", "seeds"):
        value = getattr(config, name)
        if value != getattr(usual, name) and name not in own.get(config.model, ()) and config.model in MADE:
            got = f"{value} with a {config.model} model"
            raise checks.error(name, got, "a model that has it", "use --model trained, or drop it")
    if config.model in MADE:
        require_no_layout(config, f"with a {config.model} model")


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
    side = make_task(config).token_dim
    return min(side, config.hidden) if narrow else side
