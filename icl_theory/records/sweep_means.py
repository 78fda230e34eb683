"""Means over seeds and task vectors of the records of a rank sweep, for tables and figures."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.records.documents import from_plain

Series = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Ranks, mean over seeds and tasks, standard error of the mean."""

SWEEP_KEYS = (
    *("task", "seed", "layer", "module", "rank", "demonstrations", "support", "trivial"),
    *("gap", "population_loss", "population_risk", "rungs", "information", "sandwich"),
)
"""What a record of `rank_sweep` holds, as far as tables and figures read it."""


_WELL_KNOWN = ("mutual_information", "gaussian")


def require_sweep(records: Sequence[dict[str, Any]]) -> None:
    """Raises: ValueError for no records, or one that lacks something that tables and figures read."""
    if not records:
        raise checks.error("records", "none", "at least one record of a rank sweep", "make a sweep first")
    missing = sorted({key for record in records for key in SWEEP_KEYS if key not in record})
    if missing:
        raise checks.error("records", "one without " + ", ".join(missing), "those of rank_sweep", "make them again")


def support_at(record: dict[str, Any]) -> int:
    """d_S of the layer that was truncated, or the sum over those that were truncated at once."""
    layers = [record["layer"]] if isinstance(record["layer"], int) else record["layer"].split("+")
    return sum(record["support"][int(layer)] for layer in layers)


def distinct_rungs(records: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the rungs in their order, one for neighbours whose bounds are equal in every record.

    With one layer, for instance, a prior on the path is a prior on the layer; the better known name stays.
    """
    names: list[str] = []
    last: list[float] = [math.nan]
    for name in records[0]["rungs"]:
        values = [from_plain(record["rungs"][name]["value"]) for record in records]
        if not np.allclose(values, last, rtol=1e-9, atol=0.0):
            names.append(name)
        elif name in _WELL_KNOWN:
            names[-1] = name
        last = values
    return names


Pick = Callable[[dict[str, Any]], tuple[float, float]]
"""Value and standard error of something in a record."""


def over_ranks(records: Sequence[dict[str, Any]], pick: Pick) -> Series:
    """Ranks, mean over seeds and tasks and its standard error, from `pick`(record) = (value, standard error)."""
    ranks = sorted({record["rank"] for record in records})
    found = [mean_and_error([record for record in records if record["rank"] == rank], pick) for rank in ranks]
    return np.array(ranks), np.array([mean for mean, _ in found]), np.array([error for _, error in found])


def mean_and_error(records: Sequence[dict[str, Any]], pick: Pick) -> tuple[float, float]:
    """Mean over seeds s and tasks w and its standard error: (s² of the seeds' means / S + t²)^{1/2}.

    t² is s² of the tasks' means / T. With one task it is e², e the mean standard error of a single record: seeds share
    their draws, so that the Monte Carlo error does not shrink with their number, but every task has its own. An
    infinite mean has no error.
    """
    values, within = np.array([pick(record) for record in records]).T
    mean = float(values.mean())
    if not math.isfinite(mean):
        return mean, 0.0
    seeds, tasks = (_means(records, values, key) for key in ("seed", "task"))
    between = Estimate.from_samples(seeds).stderr if len(seeds) > 1 else 0.0
    draws = Estimate.from_samples(tasks).stderr if len(tasks) > 1 else float(within.mean())
    return mean, math.hypot(between, draws)


def _means(records: Sequence[dict[str, Any]], values: np.ndarray, key: str) -> np.ndarray:
    """Means of the values with the same seed, or the same task."""
    labels = np.array([record[key] for record in records])
    return np.array([values[labels == label].mean() for label in np.unique(labels)])


def over_tasks(records: Sequence[dict[str, Any]], pick: Pick) -> np.ndarray:
    """Means over seeds for every task, shape (tasks,): their scatter says how little one task is a guide to another."""
    return _means(records, np.array([pick(record)[0] for record in records]), "task")


def averaged_over(records: Sequence[dict[str, Any]]) -> str:
    """What the means are over: "4 seeds and 8 tasks"."""
    counts = [(len({record[key] for record in records}), key) for key in ("seed", "task")]
    return " and ".join(f"{count} {key}{'s' * (count > 1)}" for count, key in counts)


def estimate_at(*path: str) -> Pick:
    """Picks the estimate at `path` out of a record."""

    def pick(record: dict[str, Any]) -> tuple[float, float]:
        entry: Any = record
        for key in path:
            entry = entry[key]
        return from_plain(entry["value"]), from_plain(entry["stderr"])

    return pick


def forward_pass_bounds_of(records: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the bounds on the forward pass itself that every record has, tightest first."""
    first = list(records[0].get("forward_pass", {}).get("rungs", {}))
    return [name for name in first if all(name in r.get("forward_pass", {}).get("rungs", {}) for r in records)]


def lower_end_bound(record: dict[str, Any]) -> tuple[float, float]:
    """sqrt(2 R² I / N) at the lower end of the sandwich; an estimate below 0 counts as no information."""
    information = max(from_plain(record["sandwich"]["lower"]["value"]), 0.0)
    return from_plain(record["trivial"]) / 2 * math.sqrt(2 * information / record["demonstrations"]), 0.0
