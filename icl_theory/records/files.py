"""Files of a run: written atomically (a temporary file, then one rename), and read back with a clear error."""

import io
import json
import os
import re
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

from icl_theory.core import checks
from icl_theory.records.documents import to_json


def write_json(path: str | Path, document: Any) -> Path:
    """Write `document` to `path`, atomically: a temporary file in the same directory, then one rename.

    Returns: the path.
    Raises: TypeError for what a record cannot hold (before any file is touched), OSError.
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


def read_json(path: str | Path) -> Any:
    """The document in a record file, which may begin with a byte order mark.

    Raises: ValueError if there is none or it is no JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        got = f"{str(path)!r}, which is nested too deep"
        raise checks.error("records", got, "a JSON document", "make the records again") from None
    except OSError as error:
        raise checks.error("records", f"{str(path)!r}: {error.strerror}", "a JSON file", "make it first") from None
    except ValueError:
        raise checks.error("records", f"{str(path)!r}", "a JSON document", "make the records again") from None


_LEFT_BEHIND = re.compile(r"\..*\.part")
"""Temporary files of a process that was killed while it wrote."""
DAMAGED = (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged npz file, or one that lacks an array, raises."""


def read_npz(path: str | Path) -> dict[str, Any]:
    """All arrays of an npz file; pickled objects are never loaded. Raises: one of `DAMAGED`."""
    import numpy as np

    # From memory, since numpy leaves a damaged file open.
    saved = np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False)
    if not isinstance(saved, np.lib.npyio.NpzFile):
        raise ValueError("no npz file")
    with saved:
        return {name: saved[name] for name in saved.files}


def prepare_directory(out: str | Path, overwrite: bool = False) -> Path:
    """The directory `out`, made if missing, ready to be written into.

    An existing directory that is not empty raises an error unless `overwrite` is set; then files of the same name are
    replaced and all others stay.

    Raises: ValueError if `out` is a file, is not empty, or cannot be made or written to.
    """
    path = Path(out).expanduser()
    try:
        if path.exists() and not path.is_dir():
            raise checks.error("out", f"the file {str(path)!r}", "a directory", "name another place")
        if path.is_dir() and not overwrite and any(not _LEFT_BEHIND.fullmatch(item.name) for item in path.iterdir()):
            hint = "name another or set overwrite"
            raise checks.error("out", f"{str(path)!r}, which is not empty", "a new or empty directory", hint)
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        got = f"{str(path)!r}: {error.strerror}"
        raise checks.error("out", got, "a directory that can be written", "name another place") from None
    return path


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
