"""Records: plain, strict JSON documents, written so that no half-written file ever bears a final name."""

import json
import math
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from icl_theory import __version__, _checks

NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
"""How a record spells what JSON has no number for; a bound of +inf is a result, so it must survive the file."""


def plain(value: Any) -> Any:
    """`value` as dictionaries, lists, strings, numbers, booleans and None that strict JSON can hold.

    Dataclasses (an `Estimate`, say) become dictionaries of their fields, enumerations their value, arrays nested
    lists, numpy scalars Python numbers, and a float that is not finite one of the strings "inf", "-inf", "nan".
    `number` reads these back.

    Raises: TypeError for anything else; nothing is turned into its `repr` silently.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _spelt(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    to_list = getattr(value, "tolist", None)  # numpy and jax arrays and scalars
    if callable(to_list):
        return plain(to_list())
    raise TypeError(f"a record cannot hold a {type(value).__name__}")


def _spelt(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def number(value: Any) -> float:
    """The float that `plain` wrote: a JSON number, or "inf", "-inf", "nan". Raises: ValueError otherwise."""
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _checks.refuse("number", repr(value), 'a number, "inf", "-inf" or "nan"', "read it from a record")
    return float(value)


def to_json(document: Any) -> str:
    """`document` as strict JSON text, indented, keys in the order given, one newline at the end."""
    return json.dumps(plain(document), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: str | Path, document: Any) -> Path:
    """Write `document` to `path`, atomically: a temporary file in the same directory, then one rename.

    Returns: the path. Raises: TypeError for what a record cannot hold (before any file is touched), OSError.
    """
    return write_bytes(path, to_json(document).encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write `content` to `path` atomically; after a crash the old file stands, or none.

    Missing directories on the way are made. Returns: the path. Raises: OSError.
    """
    path = Path(path)
    try:
        return _write_atomically(path, content)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)  # a full disk names no file, and nobody knows the temporary one
        raise


def _write_atomically(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes a file for the owner only; a record should be as readable as any file the user makes.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read_json(path: str | Path) -> Any:
    """The document in a record file, which may begin with a byte order mark.

    Raises: ValueError if there is none or it is no JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        got = f"{str(path)!r}, which is nested too deep"
        raise _checks.refuse("records", got, "a JSON document", "make the records again") from None
    except OSError as error:
        raise _checks.refuse("records", f"{str(path)!r}: {error.strerror}", "a JSON file", "make it first") from None
    except ValueError:
        raise _checks.refuse("records", f"{str(path)!r}", "a JSON document", "make the records again") from None


def prepare_directory(out: str | Path, overwrite: bool = False) -> Path:
    """The directory `out`, made if missing, ready to be written into.

    An existing directory that is not empty is refused unless `overwrite` is set; then files of the same name are
    replaced and all others stay.

    Raises: ValueError if `out` is a file, is not empty, or cannot be made or written to.
    """
    path = Path(out)
    try:
        if path.exists() and not path.is_dir():
            raise _checks.refuse("out", f"the file {str(path)!r}", "a directory", "name another place")
        if path.is_dir() and any(path.iterdir()) and not overwrite:
            cure = "name another or ask to overwrite"
            raise _checks.refuse("out", f"{str(path)!r}, which is not empty", "a new or empty directory", cure)
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        got = f"{str(path)!r}: {error.strerror}"
        raise _checks.refuse("out", got, "a directory that can be written", "name another place") from None
    return path


def environment() -> dict[str, Any]:
    """Versions, the device as jax reports it, processors and platform: what a reader needs to compare numbers.

    No host name, user or path.
    """
    import jax
    import numpy as np

    device = jax.devices()[0]
    return {
        "icl_theory": __version__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "processors": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
