"""Tables as comma-separated values, for spreadsheets and data frames: the one way in which this package writes them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A line of column names, then one per row; every line ends in a line feed, in cells too.

    Numbers are written as Python writes them; what is not finite as inf, -inf, nan; true and false in small letters;
    nothing stands for None, and for what a row does not have.

    Raises: ValueError for a row with a name that is no column.
    """
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))  # numpy's own repr names the type
    return str(value).replace("\r\n", "\n").replace("\r", "\n")
