"""Means over seeds of the records of a rank sweep, for tables and figures."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.records.documents import from_plain

Series = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Ranks, mean over seeds, standard error of the mean."""

SWEEP_KEYS = (
    *("seed", "layer", "module", "rank", "demonstrations", "support", "trivial"),
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


def over_ranks(records: Sequence[dict[str, Any]], pick: Callable[[dict[str, Any]], tuple[float, float]]) -> Series:
    """Ranks, mean over seeds and its standard error, from `pick`(record) = (value, standard error)."""
    ranks = sorted({record["rank"] for record in records})
    mean, error = np.empty(len(ranks)), np.zeros(len(ranks))
    for i, rank in enumerate(ranks):
        values, within = np.array([pick(record) for record in records if record["rank"] == rank]).T
        mean[i] = values.mean()
        if np.isfinite(values).all():
            between = Estimate.from_samples(values).stderr if len(values) > 1 else 0.0
            error[i] = math.hypot(between, within.mean())
    return np.array(ranks), mean, error


def estimate_at(*path: str) -> Callable[[dict[str, Any]], tuple[float, float]]:
    """Picks the estimate at `path` out of a record."""

    def pick(record: dict[str, Any]) -> tuple[float, float]:
        entry: Any = record
        for key in path:
            entry = entry[key]
        return from_plain(entry["value"]), from_plain(entry["stderr"])

    return pick


def lower_end_bound(record: dict[str, Any]) -> tuple[float, float]:
    """sqrt(2 R² I / N) at the lower end of the sandwich; an estimate below 0 counts as no information."""
    information = max(from_plain(record["sandwich"]["lower"]["value"]), 0.0)
    return from_plain(record["trivial"]) / 2 * math.sqrt(2 * information / record["demonstrations"]), 0.0
