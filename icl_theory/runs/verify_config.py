"""In which settings claims are checked: options of the command line, and the cases' settings that they mean.

Importing this file is quick.
"""

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.models.layouts import Layout
from icl_theory.runs.given_model import read, require_no_layout, require_path, with_sizes_of
from icl_theory.runs.train_config import TaskConfig, make_task, written_out

if TYPE_CHECKING:
    from icl_theory.claims.engine.case_settings import CaseSettings


@dataclass(frozen=True, kw_only=True)
class SettingsConfig(Layout, TaskConfig):
    """The settings that claims are checked in, in plain numbers and strings."""

    model: str = ""
    """Check the claims on this model instead of random, constructed and trained ones: the path of an npz or safetensors
    file, or of the directory of `icl-theory train`. The options from names to readout say how a file of somebody else
    is to be read. Claims that need what it is not are OUTSIDE."""
    noise_std: float = 0.5
    """Standard deviation of the label noise of demonstrations, where the labels are numbers."""
    layers: int = 3
    """L of the models with several layers; 1 for none. That of a file is its own."""
    shots: int = 20
    """N of the prompts that models are trained on and of the demonstrations of a case."""


def settings_of(config: SettingsConfig) -> "tuple[CaseSettings, tuple[str, ...]]":
    """The settings, and what was read from the file and how.

    Raises: ValueError for options out of range, that do not apply, or a file that cannot be read.
    """
    from icl_theory.claims.engine.case_settings import CaseSettings

    if not config.model:
        require_no_layout(config, "without a file")
        return CaseSettings(task=make_task(config), layers=config.layers, shots=config.shots), ()
    require_path(config, "the path of a file with weights")
    found = read(config)
    config = with_sizes_of(config, found.model, ("dim", "layers"))
    settings = CaseSettings(task=make_task(config), layers=config.layers, shots=config.shots, model=found.model)
    return settings, found.notes


def require_usual_sweep(sweep: bool, settings: "CaseSettings") -> None:
    """Raises: ValueError for a sweep in settings of the user's: it is of ensembles that the usual ones have."""
    from icl_theory.core import checks

    if sweep and not settings.usual:
        raise checks.error(
            "sweep", "settings of yours", "the usual settings", "use `bounds` for other tasks and models"
        )


def written_settings(config: SettingsConfig) -> dict[str, Any]:
    """The options that differ from the usual ones, to be read back; with the fingerprint of a file that is named."""
    if config.model:
        model = read(config).model
        config = with_sizes_of(config, model, ("dim", "layers"))
    usual = SettingsConfig()
    own = {field.name: asdict(config)[field.name] for field in fields(SettingsConfig)}
    changed = {name: value for name, value in written_out(own).items() if getattr(config, name) != getattr(usual, name)}
    return changed | ({"file": fingerprint_of(read(config).model)} if config.model else {})
