"""What determines a search for a truncation that helps, checked before anything is trained. Importing it is quick."""

from dataclasses import dataclass
from typing import Literal

from icl_theory.models.options import Module
from icl_theory.runs.model_config import ModelSourceConfig, require_modules, validate_source
from icl_theory.runs.train_config import make_task


@dataclass(frozen=True, kw_only=True)
class SearchConfig(ModelSourceConfig):
    """What determines a run of Algorithm 1 on every model, in plain numbers and strings."""

    layers: int = 3
    """Number of layers L; that of a file is its own."""
    module: Module = "attention"
    """Which weights of a layer are truncated."""
    rates: tuple[float, ...] = ()
    """Clipping rates 1 - rank/side to try beside no truncation; every rank from 1 to full if none is named."""
    top: int = 2
    """The deepest of so many layers with the largest condition numbers is the choice; at most all layers."""
    prompts: int = 1024
    """Prompts on which a rank is chosen, and as many others on which its gain is reported."""
    searches: int = 4
    """Searches of every model, each with prompts of its own, the same ones for all models."""
    loss: Literal["squared", "zero_one"] = "squared"
    """Squared error, or the 0-1 loss of the sign of the prediction."""


def validate(config: SearchConfig) -> None:
    """Raise before minutes of training what would be raised after it, for a `resolved` configuration.

    Raises: ValueError.
    """
    from icl_theory.core import checks
    from icl_theory.truncation.clipping_search import require_loss
    from icl_theory.truncation.module_truncation import rank_of_rate

    validate_source(config)
    checks.integer("shots", config.shots, 1, None, "show at least one demonstration")
    checks.integer("top", config.top, 1, config.layers, "choose among the layers there are")
    checks.integer("prompts", config.prompts, 2, None, "a standard error needs two prompts")
    checks.integer("searches", config.searches, 1, None, "use at least 1")
    require_loss(config.loss, make_task(config))
    side = require_modules(config, (config.module,))
    for rate in config.rates:
        rank_of_rate(rate, side, side)
