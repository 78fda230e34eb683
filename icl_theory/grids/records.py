"""The record of a grid: made in shards, merged, compressed to the same bytes whatever the shards were, read back."""

import gzip
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from icl_theory.core import checks
from icl_theory.grids.finding import CellGrid, GridName, ProfileName
from icl_theory.grids.kinds import KINDS, AnyTable
from icl_theory.grids.registration import digests
from icl_theory.records.files import write_bytes

FORMAT = 1
SHIPPED = Path(__file__).parent / "records"
"""The records of the full grids that this package comes with, as edits.json.gz and so on."""


def settings_of(name: GridName, profile: ProfileName) -> dict[str, Any]:
    """What determines the units of a run: format, profile and the registered files by their digests.

    Args:
        name: of the grid.
        profile: of the run.
    """
    return {"format": FORMAT, "profile": profile, "registered": digests(name)}


def compressed(name: GridName, registered: CellGrid, units: Iterable[dict[str, Any]]) -> bytes:
    """The record of a whole run: units in the order of the grid, the same bytes for the same numbers.

    Args:
        name: of the grid.
        registered: the grid in the profile of the run.
        units: as `unit_record` makes them, each once or several times alike, in any order.

    Raises: ValueError for a unit that is missing, or is there twice with different numbers.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for record in units:
        place = tuple(record["unit"])
        if found.setdefault(place, record) != record:
            hint = "merge shards of one run on one machine"
            raise checks.error("record of the grid", f"{', '.join(place)!r} twice with different numbers", "one", hint)
    KINDS[name].table(registered, list(found.values()))  # every unit is there
    ordered = [found[unit.key] for unit in registered.units]
    document = {"grid": name} | settings_of(name, registered.profile) | {"units": ordered}
    text = json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def write_record(path: str | Path, name: GridName, registered: CellGrid, units: Iterable[dict[str, Any]]) -> Path:
    """Write the record of a whole run. Returns: the path. Raises: as `compressed`; OSError.

    Args:
        path: of the file.
        name: of the grid.
        registered: the grid in the profile of the run.
        units: of every shard.
    """
    return write_bytes(path, compressed(name, registered, units))


def read_record(path: str | Path) -> tuple[GridName, AnyTable, list[str]]:
    """The grid of a record, its table, and the names of registered files that were changed after its run.

    Args:
        path: of the file.

    Raises: ValueError for a file that is no record of a grid.

    Example:
        >>> from icl_theory.grids import read_record
        >>> from icl_theory.grids.records import SHIPPED
        >>> name, table, changed = read_record(SHIPPED / "prediction.json.gz")
        >>> name, table.grid.seeds, changed
        ('prediction', 16, [])
    """
    try:
        document = json.loads(gzip.decompress(Path(path).read_bytes()))
        name, profile = document["grid"], document["profile"]
        registered, now = document["registered"], digests(name)
        table = KINDS[name].table(KINDS[name].grid(profile), document["units"])
    except (OSError, EOFError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        got = f"{str(path)!r}, which is none ({type(error).__name__})"
        raise checks.error("record of the grid", got, "a file that `icl-theory grid` made", "make it again") from None
    return name, table, [file for file, digest in now.items() if registered.get(file) != digest]


@lru_cache(maxsize=2)
def shipped(name: GridName) -> AnyTable:
    """The record of a full grid that this package comes with.

    Args:
        name: "edits" or "prediction".

    Example:
        >>> from icl_theory.grids import shipped
        >>> shipped("prediction").grid.seeds
        16
    """
    return read_record(SHIPPED / f"{name}.json.gz")[1]
