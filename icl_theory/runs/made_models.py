"""The models of a run, made or read back, and what the run writes down about where they came from."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_theory.core.progress import Progress
from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.runs.given_model import read
from icl_theory.runs.model_config import MADE, ModelSourceConfig, resolved
from icl_theory.runs.train_config import written_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from icl_theory.models.model import Model
    from icl_theory.tasks.base import Task


def own_settings(config: ModelSourceConfig, kind: type) -> dict[str, Any]:
    """The fields of the configuration class, without the options of the command; with the fingerprint of its file."""
    own = written_out({field.name: asdict(config)[field.name] for field in fields(kind)})
    return own if config.model in MADE else own | {"file": fingerprint_of(read(config).model)}


def prepare_run(
    config: ModelSourceConfig,
    kind: type,
    out: str | Path,
    journal: "Callable[..., Any]",
    *,
    overwrite: bool,
    resume: bool,
) -> Path:
    """The run directory: new, emptied of an earlier run's entries and weights, or as it was left.

    To resume where nothing has begun is to start. `journal` opens entries.jsonl under settings and raises for others.

    Raises: ValueError for a directory in use, for a resume of a run under other settings, or for both options at once.
    """
    from icl_theory.core import checks
    from icl_theory.records.files import prepare_directory

    if resume and overwrite:
        raise checks.error("resume", "also overwrite", "one of the two", "drop one of them")
    begun = resume and (Path(out) / "entries.jsonl").is_file()
    path = prepare_directory(out, overwrite or begun)
    if begun:
        journal(path / "entries.jsonl", own_settings(resolved(config), kind), resume=True)
    else:
        for name in ("entries.jsonl", "weights.npz"):
            (path / name).unlink(missing_ok=True)
    return path


def kept_weights(
    config: ModelSourceConfig, task: "Task", notify: Progress, out: Path | None, resume: bool
) -> tuple["Model", list[int]]:
    """A model, or an ensemble with a leading seeds axis, and the seeds left out because training diverged.

    Read back from `out` if an earlier part of the run has left it there, otherwise made and left.
    """
    import numpy as np

    from icl_theory.core import checks
    from icl_theory.models.files import load_model, save_model
    from icl_theory.records.files import DAMAGED, read_npz

    path = None if out is None else out / "weights.npz"
    if path is not None and resume and path.is_file():
        try:
            model = load_model(path)
            return model, read_npz(path)["diverged"].tolist()
        except (AttributeError, TypeError, *DAMAGED) as error:
            got = f"{str(path)!r}, which is damaged ({type(error).__name__})"
            hint = "start it again with --overwrite"
            raise checks.error("resume", got, "the weights of the run", hint) from error
    model, diverged = _weights(config, task, notify)
    if path is not None:
        save_model(path, model, diverged=np.array(diverged, dtype=np.int64))
    return model, diverged


def of_these_weights(entry: dict[str, Any], weights: str) -> dict[str, Any]:
    """A finished entry without the fingerprint. Raises: ValueError if it was computed for other weights."""
    from icl_theory.core import checks

    entry = dict(entry)
    if entry.pop("weights", weights) != weights:
        got = "finished entries of other weights than weights.npz holds"
        raise checks.error("resume", got, "entries and weights of one run", "start it again with --overwrite")
    return entry


def _weights(config: ModelSourceConfig, task: "Task", notify: Progress) -> tuple["Model", list[int]]:
    import jax
    import numpy as np

    from icl_theory.models.constructions import gradient_descent_weights, one_layer_optimum, random_weights

    if config.model not in MADE:
        return read(config).model, []
    if config.model == "optimum":
        return one_layer_optimum(task, shots=config.shots)[0], []
    if config.model == "gradient-descent":
        step = config.shots / (config.shots + config.dim + 1 + config.noise_std**2)
        return gradient_descent_weights(config.dim, layers=config.layers, step_size=step), []
    if config.model == "trained":
        return _trained(config, task, notify)
    scale = 1.5 if config.layers == 1 else 0.8  # larger ones make deep trajectories explode
    numbers = np.random.default_rng(config.seed).integers(2**31, size=config.seeds)
    drawn = [random_weights(int(n), layers=config.layers, token_dim=task.token_dim, scale=scale) for n in numbers]
    return jax.tree.map(lambda *matrices: np.stack(matrices), *drawn), []


def _trained(config: ModelSourceConfig, task: "Task", notify: Progress) -> tuple["Model", list[int]]:
    import jax
    import numpy as np

    from icl_theory.core import checks
    from icl_theory.training.train import train

    result = train(
        task,
        config.seed,
        layers=config.layers,
        heads=config.heads,
        hidden=config.hidden,
        shots=config.shots,
        steps=config.steps,
        seeds=config.seeds,
        progress=notify,
    )
    if result.diverged.all():
        raise checks.error("training", "no member that converged", "at least one", "use fewer layers or steps")
    return jax.tree.map(lambda a: a[~result.diverged], result.models), np.flatnonzero(result.diverged).tolist()
