"""Which models a run is about: trained or constructed on the spot, or read from a file. Importing this is quick."""

from dataclasses import dataclass
from typing import Any

from icl_theory.models.layouts import Layout
from icl_theory.runs.given_model import read, require_no_layout, require_path, with_sizes_of
from icl_theory.runs.train_config import TaskConfig, make_task

MADE = ("trained", "gradient-descent", "optimum", "random")
"""Models that the run makes itself; any other word is the path of a file."""


@dataclass(frozen=True, kw_only=True)
class ModelSourceConfig(TaskConfig, Layout):
    """Where the models of a run come from, and the task they are for."""

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
    shots: int = 20
    """Demonstrations shown, in training too."""
    seeds: int = 4
    """Models trained or drawn; a constructed model is a single one."""
    steps: int = 1000
    """Training steps."""
    seed: int = 0
    """Seed of everything random."""


def validate_source(config: ModelSourceConfig) -> None:
    """What every run on such models checks before anything is trained. Raises: ValueError."""
    from icl_theory.core import checks

    task = make_task(config)
    _require_used(config)
    if config.model == "gradient-descent" and task.outputs > 1:
        got = f"gradient descent for labels of {task.outputs} entries"
        raise checks.error("model", got, "a task with one number as label", "use --model trained")
    checks.integer("layers", config.layers, 1, 1 if config.model == "optimum" else None, "the optimum has one layer")
    for name in ("seeds", "steps", "heads"):
        checks.integer(name, getattr(config, name), 1, None, "use at least 1")
    checks.integer("hidden", config.hidden, 0, None, "pass 0 for no MLP")
    checks.integer("seed", config.seed, 0, 2**31 - 1, "pass a whole number")


def require_modules(config: ModelSourceConfig, modules: tuple[str, ...]) -> int:
    """The smallest side of their matrices, the largest rank. Raises: ValueError for one the model will not have."""
    from icl_theory.core import checks
    from icl_theory.truncation.module_truncation import MODULES

    for module in modules:
        checks.choice("modules" if len(modules) > 1 else "module", module, MODULES)
    if "mlp" in modules and config.hidden == 0:
        raise checks.error("modules", "'mlp' of a model without an MLP", "a module it has", "pass --hidden")
    narrow = config.hidden and any(module in ("mlp", "all") for module in modules)
    side = make_task(config).token_dim
    return min(side, config.hidden) if narrow else side


def resolved(config: Any) -> Any:
    """The configuration with the sizes of the file that it names, if it names one.

    Raises: ValueError for a file that cannot be read, or sizes that are stated and are not its own.
    """
    if config.model in MADE:
        return config
    require_path(config, f"one of {', '.join(MADE)}, or the path of a file with weights")
    return with_sizes_of(config, read(config).model, ("dim", "layers", "heads", "hidden"))


def notes(config: ModelSourceConfig) -> tuple[str, ...]:
    """What was read from the file of the configuration and how; nothing where there is none."""
    return () if config.model in MADE else read(config).notes


def _require_used(config: ModelSourceConfig) -> None:
    """Raises: ValueError for an option that this model would ignore."""
    from icl_theory.core import checks

    usual, own = type(config)(), {"trained": ("heads", "hidden", "steps", "seeds"), "random": ("seeds",)}
    for name in ("heads", "hidden", "steps", "seeds"):
        value = getattr(config, name)
        if value != getattr(usual, name) and name not in own.get(config.model, ()) and config.model in MADE:
            got = f"{value} with a {config.model} model"
            raise checks.error(name, got, "a model that has it", "use --model trained, or drop it")
    if config.model in MADE:
        require_no_layout(config, f"with a {config.model} model")
