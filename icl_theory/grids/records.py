"""The record of a grid: made in shards, merged, compressed to the same bytes whatever the shards were, read back."""

import gzip
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from icl_theory.core import checks
from icl_theory.grids.registration import Grid, ProfileName, digests, grid
from icl_theory.grids.table import Table
from icl_theory.records.files import write_bytes

FORMAT = 1
SHIPPED = Path(__file__).parent / "records" / "grid.json.gz"
"""The record of the full grid that this package comes with."""


def settings_of(registered: Grid) -> dict[str, Any]:
    """What determines the units of a run: format, profile and the registered files by their digests.

    Args:
        registered: the grid.
    """
    return {"format": FORMAT, "profile": registered.profile, "registered": digests()}


def compressed(registered: Grid, units: Iterable[dict[str, Any]]) -> bytes:
    """The record of a whole run: units in the order of the grid, the same bytes for the same numbers.

    Args:
        registered: the grid.
        units: as `unit_record` makes them, each once or several times alike, in any order.

    Raises: ValueError for a unit that is missing, or is there twice with different numbers.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for record in units:
        name = tuple(record["unit"])
        if found.setdefault(name, record) != record:
            hint = "merge shards of one run on one machine"
            raise checks.error("record of the grid", f"{', '.join(name)!r} twice with different numbers", "one", hint)
    Table(registered, list(found.values()))  # every unit is there
    ordered = [found[(u.attention, u.mlp, u.task, u.training)] for u in registered.units]
    document = settings_of(registered) | {"units": ordered}
    text = json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def write_record(path: str | Path, registered: Grid, units: Iterable[dict[str, Any]]) -> Path:
    """Write the record of a whole run. Returns: the path. Raises: as `compressed`; OSError.

    Args:
        path: of the file.
        registered: the grid.
        units: of every shard.
    """
    return write_bytes(path, compressed(registered, units))


def read_record(path: str | Path) -> tuple[Table, list[str]]:
    """A record as a table, and the names of registered files that were changed after its run.

    Args:
        path: of the file.

    Raises: ValueError for a file that is no record of the grid.
    """
    try:
        document = json.loads(gzip.decompress(Path(path).read_bytes()))
        profile: ProfileName = document["profile"]
        registered, now = document["registered"], digests()
        table = Table(grid(profile), document["units"])
    except (OSError, EOFError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        got = f"{str(path)!r}, which is none ({type(error).__name__})"
        raise checks.error("record of the grid", got, "a file that `icl-theory grid` made", "make it again") from None
    return table, [name for name, digest in now.items() if registered.get(name) != digest]


@lru_cache(maxsize=1)
def shipped_table() -> Table:
    """The record of the full grid that this package comes with.

    Example:
        >>> from icl_theory.grids import shipped_table
        >>> shipped_table().grid.seeds
        16
    """
    return read_record(SHIPPED)[0]
