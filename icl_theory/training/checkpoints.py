"""Checkpoints of a training run: written by Orbax, committed by a digest, rejected unless whole and of the same run."""

import json
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.fingerprints import canonical, digest

LAYOUT = 1
"""Version of what a checkpoint holds; another one is rejected."""
KEEP = 3
"""Checkpoints kept: the newest, and two to fall back on."""
ABSENT = "absent"
"""What a message says of a setting that did not exist then, or no longer exists."""
SEAL = "seal.json"
"""Written last, by one rename: a checkpoint without it is half-written."""


@fields_in_help
@dataclass(frozen=True)
class Checkpoints:
    """Where a training run saves itself, and whether it goes on from there.

    Example:
        >>> import tempfile
        >>> from icl_theory import Checkpoints, LinearRegression, train
        >>> options = {"layers": 1, "shots": 5, "steps": 20, "seeds": 1, "batch": 4}
        >>> folder = tempfile.mkdtemp()
        >>> first = train(LinearRegression(2), 0, **options, checkpoints=Checkpoints(folder))
        >>> again = train(LinearRegression(2), 0, **options, checkpoints=Checkpoints(folder, resume=True))
        >>> bool((again.losses == first.losses).all())
        True
    """

    directory: str | Path
    """A directory of its own, one subdirectory per checkpoint, named after the step."""
    every: int = 1
    """Chunks of steps between two checkpoints; the end of the run is always saved. One save takes about 0.1 s."""
    resume: bool = False
    """Go on from the newest checkpoint that is whole; otherwise the directory must hold none."""


@dataclass(frozen=True)
class Saved:
    """The contents of one checkpoint."""

    step: int
    """Steps done."""
    arrays: dict[str, np.ndarray]
    """Weights, optimiser state and losses so far, by name."""
    generator: Mapping[str, Any]
    """State of the numpy generator after the data of these steps was drawn."""


class CheckpointWarning(UserWarning):
    """A checkpoint was rejected and an older one is used, or a resumed run may differ in the last bits."""


def saved_steps(directory: str | Path) -> list[int]:
    """The steps for which `directory` holds something, ascending, whole or not; none if there is no directory."""
    root = Path(directory)
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal())


def require_spellable(directory: str | Path) -> None:
    """Reject a path that is not text: the library that writes the arrays cannot take it. Raises: ValueError."""
    try:
        str(Path(directory).absolute()).encode("utf-8")
    except UnicodeEncodeError:
        got = f"{str(directory)!r}, which is no UTF-8"
        raise checks.error("checkpoints", got, "a path in UTF-8", "name another place") from None


class Store:
    """The checkpoints of one run.

    Args:
        options: directory, interval, resume.
        setup: name → plain value, everything that determines the run; a checkpoint saved under another is rejected.
        versions: name → version or device; a difference is a warning, since results agree up to rounding only.

    Raises: ValueError if the directory cannot be used, `every` is below 1, or it holds checkpoints and `resume` is off.
    """

    def __init__(self, options: Checkpoints, setup: Mapping[str, Any], versions: Mapping[str, str]) -> None:
        self._every = checks.integer("checkpoints.every", options.every, 1, None, "save after every chunk")
        require_spellable(options.directory)
        self._root = Path(options.directory).absolute()  # Orbax wants an absolute path
        self._setup, self._versions, self._orbax = dict(setup), dict(versions), None
        self._unsaved = 0
        if not options.resume and self.steps():
            got = f"{str(options.directory)!r}, which holds checkpoints up to step {self.steps()[-1]}"
            raise checks.error("checkpoints", got, "a directory without any", "resume, or name another directory")
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            got = f"{str(options.directory)!r}: {error.strerror}"
            raise checks.error("checkpoints", got, "a directory", "name another place") from None

    def steps(self) -> list[int]:
        """The steps for which there is something, ascending, whole or not."""
        return saved_steps(self._root)

    def border(self, saved: Saved, last: bool) -> None:
        """Count one chunk and save if it is time to."""
        self._unsaved += 1
        if last or self._unsaved >= self._every:
            self.save(saved)

    def save(self, saved: Saved) -> None:
        """Write a checkpoint: Orbax's files first, then the seal with their digests; then drop the oldest."""
        place = self._root / str(saved.step)
        shutil.rmtree(place, ignore_errors=True)  # a rejected one of the same step
        self._checkpointer().save(place, dict(saved.arrays))
        content = {
            "layout": LAYOUT,
            "step": saved.step,
            "setup": self._setup,
            "versions": self._versions,
            "generator": saved.generator,
            "files": _digests(place),
        }
        temporary = place / f".{SEAL}.part"
        temporary.write_text(json.dumps({"content": content, "sha256": digest(canonical(content))}), "utf-8")
        temporary.replace(place / SEAL)
        self._unsaved = 0
        # Only those that this run has passed count: newer ones may be broken ones that the run has yet to replace.
        for step in [step for step in self.steps() if step <= saved.step][:-KEEP]:
            shutil.rmtree(self._root / str(step))

    def latest(self) -> Saved:
        """The newest checkpoint that is whole, with a `CheckpointWarning` for each newer one that is not.

        Raises: ValueError if there is none, or if it belongs to another run or layout; the message says what differs.
        """
        steps = self.steps()
        if not steps:
            raise checks.error("checkpoints", "none", "at least one to resume from", "start without resume")
        rejected = []
        for step in reversed(steps):
            try:
                content = _unsealed(self._root / str(step))
            except _BrokenError as broken:
                rejected.append(f"the checkpoint of step {step} is rejected: {broken}")
                continue
            for reason in rejected:
                warnings.warn(f"{reason}; going on from step {step}", CheckpointWarning, stacklevel=3)
            return self._read(content)
        raise checks.error("checkpoints", "; ".join(rejected), "one that is whole", "start again without resume")

    def _read(self, content: dict[str, Any]) -> Saved:
        """The arrays behind a seal that has been verified."""
        if content["layout"] != LAYOUT:
            got = f"layout {content['layout']}"
            raise checks.error("checkpoints", got, f"layout {LAYOUT}", "use the version that wrote it")
        differing = _differences(content["setup"], self._setup)
        if differing:
            got = "; ".join(f"{name} {now} (saved: {then})" for name, (then, now) in differing.items())
            raise checks.error("checkpoints", got, "the run that was saved", "repeat its settings, or start again")
        for name, (then, now) in _differences(content["versions"], self._versions).items():
            text = f"saved with {name} {then}, resumed with {name} {now}: the last bits may differ"
            warnings.warn(text, CheckpointWarning, stacklevel=4)
        arrays = self._checkpointer().restore(self._root / str(content["step"]))
        return Saved(content["step"], {name: np.asarray(array) for name, array in arrays.items()}, content["generator"])

    def _checkpointer(self) -> Any:
        """Orbax's synchronous checkpointer for a dictionary of arrays; half a second to import, hence on first use."""
        if self._orbax is None:
            import orbax.checkpoint as ocp

            self._orbax = ocp.Checkpointer(ocp.PyTreeCheckpointHandler())
        return self._orbax


class _BrokenError(Exception):
    """Why a checkpoint cannot be used."""


def _unsealed(place: Path) -> dict[str, Any]:
    """The content of the seal, after every file has been compared with its digest. Raises: _BrokenError."""
    try:
        document = json.loads((place / SEAL).read_text("utf-8"))
    except FileNotFoundError:
        raise _BrokenError("it is half-written") from None
    except (OSError, ValueError):
        raise _BrokenError(f"{SEAL} cannot be read") from None
    content = document.get("content") if isinstance(document, dict) else None
    if content is None or document.get("sha256") != digest(canonical(content)):
        raise _BrokenError(f"{SEAL} is corrupted")
    found = _digests(place)
    missing = sorted(content["files"].keys() - found.keys())
    changed = sorted(name for name, digest in content["files"].items() if found.get(name, digest) != digest)
    if missing or changed:
        raise _BrokenError(", ".join([f"{n} is missing" for n in missing] + [f"{n} is corrupted" for n in changed]))
    return content


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """name → (then, now) for every entry that is not the same in both; one that is missing is not the same as None."""
    now = json.loads(json.dumps(now))  # as it would be after saving: tuples are lists there
    pairs = {name: (then.get(name, ABSENT), now.get(name, ABSENT)) for name in {**then, **now}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _digests(place: Path) -> dict[str, str]:
    """SHA-256 of every file but the seal, by path relative to `place`."""
    files = sorted(path for path in place.rglob("*") if path.is_file() and not path.name.endswith((SEAL, ".part")))
    return {path.relative_to(place).as_posix(): digest(path.read_bytes()) for path in files}
