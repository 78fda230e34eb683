"""The registered grids: what makes their numbers, and what reads findings off them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from icl_theory.grids import measures, registration, table, unit_table
from icl_theory.grids.finding import GridName, ProfileName
from icl_theory.grids.prediction import measures as prediction_measures
from icl_theory.grids.prediction import models as prediction_models
from icl_theory.grids.prediction import table as prediction_table
from icl_theory.grids.prediction import unit_record as prediction_record

AnyTable = table.Table | prediction_table.PredictionTable


@dataclass(frozen=True)
class Kind:
    """A registered grid."""

    grid: Callable[[ProfileName], Any]
    """The grid in a profile."""
    unit_record: Callable[..., dict[str, Any]]
    """The numbers of one of its units."""
    table: Callable[..., Any]
    """Those of all units, looked up by cell."""
    measures: dict[str, Callable[..., Any]]
    """What its findings compute for a cell."""


# Looked up when they are called, so that a test can put a small grid in their place.
KINDS: dict[GridName, Kind] = {
    "edits": Kind(
        lambda profile: registration.grid(profile),
        lambda *given: unit_table.unit_record(*given),
        table.Table,
        dict(measures.MEASURES),
    ),
    "prediction": Kind(
        lambda profile: prediction_models.prediction_grid(profile),
        lambda *given: prediction_record.unit_record(*given),
        prediction_table.PredictionTable,
        dict(prediction_measures.MEASURES),
    ),
}
"""By name."""
