"""An exception that a claim, a counterexample file or a foreign package has raised, in a line of a record."""

import traceback
from pathlib import Path


def describe_error(error: BaseException) -> str:
    """Type and words: ZeroDivisionError (division by zero)."""
    return f"{type(error).__name__} ({' '.join(str(error).split())})"


def describe_error_with_line(error: BaseException) -> str:
    """The same with the innermost line of code that it comes from: ... at theirs.py:5."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{describe_error(error)} at {Path(place.filename).name}:{place.lineno}"
