"""The store behind checkpoints: what it rejects, when it saves, what it deletes, and what it gives back."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_theory.training import checkpoints
from icl_theory.training.checkpoints import KEEP, SEAL, Checkpoints, CheckpointWarning, Saved, Store

SETUP = {"layers": 2, "learning_rate": 0.02, "stop_excess": None, "inputs": "gaussian", "key": "abc", "tied": False}
VERSIONS = {"jax": "1", "numpy": "2", "device": "cpu"}


class Plain:
    """Stands for Orbax, which takes a tenth of a second for each checkpoint."""

    def save(self, place: Path, arrays: dict[str, np.ndarray]) -> None:
        place.mkdir()
        np.savez(place / "arrays.npz", **arrays)  # pyright: ignore[reportArgumentType]

    def restore(self, place: Path) -> dict[str, np.ndarray]:
        with np.load(place / "arrays.npz") as file:
            return dict(file)


def store(directory: Path, *, orbax: bool = False, **changes: Any) -> Store:
    given: dict[str, Any] = {"every": 1, "resume": True, "setup": SETUP, "versions": VERSIONS} | changes
    made = Store(Checkpoints(directory, given["every"], given["resume"]), given["setup"], given["versions"])
    if not orbax:
        made._orbax = Plain()  # pyright: ignore[reportAttributeAccessIssue]
    return made


def saved(step: int, rng: np.random.Generator | None = None) -> Saved:
    rng = np.random.default_rng(step) if rng is None else rng
    return Saved(step, {"leaf_0": np.full(3, step, np.float32)}, rng.bit_generator.state)


def filled(directory: Path, *steps: int) -> Store:
    made = store(directory)
    for step in steps:
        made.save(saved(step))
    return made


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layers", 3, r"layers 3 \(saved: 2\)"),
        ("learning_rate", 0.01, r"learning_rate 0.01 \(saved: 0.02\)"),
        ("stop_excess", 0.1, r"stop_excess 0.1 \(saved: None\)"),
        ("inputs", "uniform", r"inputs uniform \(saved: gaussian\)"),
        ("key", "abd", r"key abd \(saved: abc\)"),
        ("tied", True, r"tied True \(saved: False\)"),
        ("brand_new", 1, r"brand_new 1 \(saved: absent\)"),
        ("brand_new", None, r"brand_new None \(saved: absent\)"),
    ],
)
def test_changed_setting(tmp_path: Path, name: str, value: Any, words: str) -> None:
    """Another or a new setting is rejected."""
    filled(tmp_path, 4)
    with pytest.raises(ValueError, match=f"checkpoints: got {words}, expected the run that was saved"):
        store(tmp_path, setup=SETUP | {name: value}).latest()
    assert store(tmp_path).latest().step == 4
    fewer = {key: kept for key, kept in SETUP.items() if key != "tied"}
    with pytest.raises(ValueError, match=r"tied absent \(saved: False\)"):
        store(tmp_path, setup=fewer).latest()


@pytest.mark.parametrize("name", [*VERSIONS, "brand_new"])
def test_version_warning(tmp_path: Path, name: str) -> None:
    """Another version is a warning that names it."""
    filled(tmp_path, 4)
    with pytest.warns(CheckpointWarning, match=f"saved with {name} .*, resumed with {name} 0") as caught:
        assert store(tmp_path, versions=VERSIONS | {name: "0"}).latest().step == 4
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store(tmp_path).latest().step == 4


# When it saves, and what it deletes.


@pytest.mark.parametrize(
    ("every", "steps"), [(1, [1, 2, 3, 4, 5, 6, 7]), (2, [2, 4, 6, 7]), (3, [3, 6, 7]), (7, [7]), (9, [7])]
)
def test_every_nth_border(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, steps: list[int]) -> None:
    """Every nth border is saved and the last."""
    monkeypatch.setattr(checkpoints, "KEEP", 99)
    made = store(tmp_path, every=every)
    for step in range(1, 8):
        made.border(saved(step), last=step == 7)
    assert made.steps() == steps


def test_save_restarts_the_count(tmp_path: Path) -> None:
    """A save in between starts the count again."""
    made = store(tmp_path, every=3)
    made.border(saved(1), last=False)
    made.save(saved(2))
    for step in (3, 4):
        made.border(saved(step), last=False)
    assert made.steps() == [2]
    made.border(saved(5), last=False)
    assert made.steps() == [2, 5]


def test_newest_by_number(tmp_path: Path) -> None:
    """9 comes before 10, and 100 after 12."""
    made = store(tmp_path)
    for step in (8, 9, 10, 11, 12, 100):
        made.save(saved(step))
        assert made.steps()[-1] == step
        assert len(made.steps()) <= KEEP
    assert made.steps() == [11, 12, 100]
    assert KEEP == 3


def test_just_saved_stays(tmp_path: Path) -> None:
    """Newer ones that a resumed run has yet to replace do not count, and stay until it does."""
    filled(tmp_path, 6, 9, 12)
    for newer in (15, 18, 21, 24):
        (tmp_path / str(newer)).mkdir()  # half-written
    made = store(tmp_path)
    with pytest.warns(CheckpointWarning) as caught:
        assert made.latest().step == 12
    assert len(caught) == 4
    for step, left in ((13, [9, 12, 13]), (15, [12, 13, 15])):
        made.save(saved(step))
        assert [kept for kept in made.steps() if kept <= step] == left
        assert store(tmp_path).steps()[-1] == 24
        with pytest.warns(CheckpointWarning):
            assert store(tmp_path).latest().step == step


def test_foreign_files_stay(tmp_path: Path) -> None:
    """Other things in the directory are left alone."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "12.part").mkdir()
    made = filled(tmp_path, 1, 2, 3, 4, 5)
    assert made.steps() == [3, 4, 5]
    assert {path.name for path in tmp_path.iterdir()} == {"3", "4", "5", "notes.txt", "12.part"}


def test_directory_in_use(tmp_path: Path) -> None:
    """A directory with checkpoints is no place for a new run."""
    filled(tmp_path, 4, 8)
    with pytest.raises(ValueError, match="holds checkpoints up to step 8"):
        store(tmp_path, resume=False)
    with pytest.raises(ValueError, match="no UTF-8"):
        store(tmp_path / "bad \udcff")


# What it gives back.


def test_newest_whole(tmp_path: Path) -> None:
    """The newest whole one is given back."""
    filled(tmp_path, 9, 10)
    back = store(tmp_path).latest()
    assert back.step == 10
    np.testing.assert_array_equal(back.arrays["leaf_0"], np.full(3, 10, np.float32))


def unsealed(place: Path) -> None:
    (place / SEAL).unlink()


def torn(place: Path) -> None:
    text = (place / SEAL).read_bytes()
    (place / SEAL).write_bytes(text[: len(text) // 2])


def another_seal(place: Path) -> None:
    (place / SEAL).write_text("[]")


def other_content(place: Path) -> None:
    """A seal that says something else, as valid JSON."""
    document = json.loads((place / SEAL).read_text())
    document["content"]["generator"]["state"]["state"] += 1
    (place / SEAL).write_text(json.dumps(document))


def longer(place: Path) -> None:
    with (place / "arrays.npz").open("ab") as file:
        file.write(b"x")


def flipped(place: Path) -> None:
    content = bytearray((place / "arrays.npz").read_bytes())
    content[-1] ^= 1
    (place / "arrays.npz").write_bytes(content)


def gone(place: Path) -> None:
    (place / "arrays.npz").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (unsealed, "it is half-written"),
        (torn, "seal.json cannot be read"),
        (another_seal, "seal.json is corrupted"),
        (other_content, "seal.json is corrupted"),
        (longer, "arrays.npz is corrupted"),
        (flipped, "arrays.npz is corrupted"),
        (gone, "arrays.npz is missing"),
    ],
)
def test_damaged_is_skipped(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    """A damaged one is passed over by name."""
    filled(tmp_path, 2, 4, 6)
    damage(tmp_path / "6")
    with pytest.warns(CheckpointWarning, match=f"step 6 is rejected: {words}; going on from step 4"):
        assert store(tmp_path).latest().step == 4
    damage(tmp_path / "4")
    with pytest.warns(CheckpointWarning) as caught:
        assert store(tmp_path).latest().step == 2
    assert len(caught) == 2
    damage(tmp_path / "2")
    with pytest.raises(ValueError, match=r"step 6 .*step 4 .*step 2 .*expected one that is whole"):
        store(tmp_path).latest()
    # A run that gets there again replaces what is broken.
    made = store(tmp_path)
    made.save(saved(6))
    assert store(tmp_path).latest().step == 6


@pytest.mark.parametrize("draws", [0, 1, 2])
def test_generator_goes_on(tmp_path: Path, draws: int) -> None:
    """After an odd number of 32-bit draws half a number is kept; the state has 128 bits, which no float holds."""
    rng = np.random.default_rng(7)
    rng.integers(2**31, size=draws, dtype=np.int32)
    store(tmp_path).save(saved(1, rng))
    back = np.random.default_rng()
    back.bit_generator.state = store(tmp_path).latest().generator
    assert back.bit_generator.state == rng.bit_generator.state
    for _ in range(2):
        assert back.integers(2**31, dtype=np.int32) == rng.integers(2**31, dtype=np.int32)
        np.testing.assert_array_equal(back.standard_normal(5), rng.standard_normal(5))


def test_orbax_gives_back_every_bit(tmp_path: Path) -> None:
    """Types, shapes, signed zeros, what is not finite, and the smallest numbers there are."""
    arrays = {
        "leaf_0": np.array([[0.0, -0.0, 1e-45], [np.inf, np.nan, np.float32(1) / 3]], np.float32),
        "leaf_1": np.array(12, np.int32),
        "losses": np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2),
        "excess": np.array([[1 / 3, 5e-324]]),
    }
    store(tmp_path, orbax=True).save(Saved(3, arrays, np.random.default_rng(0).bit_generator.state))
    back = store(tmp_path, orbax=True).latest().arrays
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()
