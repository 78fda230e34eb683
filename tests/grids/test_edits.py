"""Edits of weights and the errors after them, against truncation by hand and predictions one by one."""

import numpy as np
import pytest
from small_grid import small_grid

from icl_theory import LinearClassification, LinearRegression, predict, random_weights, truncate_weights
from icl_theory.grids.edits import MOVED, SIZE, Edit, edit_numbers, edits_of, errors, moved, truncated
from icl_theory.models.model import Model
from icl_theory.models.options import Kind
from icl_theory.tasks.prompt import Prompt

GRID = small_grid()


def model_of(kind: Kind = "linear", mlp: bool = False) -> Model:
    rng = np.random.default_rng(7)
    plain = random_weights(1, layers=3, token_dim=6)
    hidden = {"mlp_in": rng.standard_normal((3, 12, 6)) / 3, "mlp_out": rng.standard_normal((3, 6, 12)) / 3}
    matrices = {"value": plain.value, "key": plain.key, "query": plain.query, **(hidden if mlp else {})}
    return Model.create(**matrices, kind=kind, activation="relu" if mlp else "identity")


def test_counted() -> None:
    """Truncations of every module, layer and rank; every layer dropped; random edits of three matrices."""
    assert len(edits_of(GRID, "none")) == 5 * 3 * 3 + 3 + 9
    assert len(edits_of(GRID, "relu")) == 7 * 3 * 3 + 3 + 9
    assert len(set(edits_of(GRID, "relu"))) == len(edits_of(GRID, "relu"))


@pytest.mark.parametrize("mlp", [False, True])
def test_truncated(mlp: bool) -> None:
    """As `truncate_weights` does one by one; a dropped layer is gone from every matrix."""
    model = model_of(mlp=mlp)
    edits = [edit for edit in edits_of(GRID, "relu" if mlp else "none") if not edit.kind.startswith(MOVED)]
    for edit, found in zip(edits, truncated(model, edits), strict=True):
        if edit.kind == "dropped":
            left = [layer for layer in range(3) if layer != edit.layer]
            assert all(np.array_equal(getattr(found, n), getattr(model, n)[left]) for n in ("value", "key", "query"))
            assert found.layers == 2
            assert not mlp or np.array_equal(found.mlp_out, model.mlp_out[left])
        else:
            cut = truncate_weights(model, layer=edit.layer, module=edit.kind, rank=edit.rank)  # pyright: ignore
            assert np.allclose(found.value, cut.value, atol=1e-12)
            assert np.allclose(found.query, cut.query, atol=1e-12)


def test_moved() -> None:
    """One matrix of one layer, by 1 % of its norm along the direction."""
    model, direction = model_of(), np.random.default_rng(2).standard_normal((6, 6))
    found = moved(model, "key", 1, direction)
    change = found.key - model.key
    assert np.linalg.norm(change[1]) == pytest.approx(SIZE * np.linalg.norm(model.key[1]))
    assert np.allclose(change[1] / np.linalg.norm(change[1]), direction / np.linalg.norm(direction))
    assert not change[[0, 2]].any()
    assert np.array_equal(found.value, model.value)


def test_errors() -> None:
    """log of the square; 1 where the sign is wrong, a prediction of 0 being read as +1."""
    assert errors(LinearRegression(2), np.array([[3.0, 0.5]]), np.array([1.0, 1.0])) == pytest.approx(
        np.array([[np.log(4.0), np.log(0.25)]])
    )
    found = errors(LinearClassification(2), np.array([[3.0, -0.5, 0.0, 0.0]]), np.array([1.0, 1.0, 1.0, -1.0]))
    assert found.tolist() == [[0.0, 1.0, 0.0, 1.0]]


@pytest.mark.parametrize("task", [LinearRegression(5, noise_std=0.5), LinearClassification(5, flip_probability=0.1)])
@pytest.mark.parametrize("mlp", ["none", "relu"])
def test_numbers_one_by_one(task, mlp: str) -> None:
    """Every number of every edit from predictions of its model alone."""
    model = model_of("softmax", mlp == "relu")
    prompt, directions = task.sample(3, 16, 4), np.random.default_rng(5).standard_normal((2, 6, 6))
    before, numbers = edit_numbers(GRID, task, model, mlp, prompt, directions)
    plain = predict(model, prompt)

    def error(guess: np.ndarray) -> np.ndarray:
        if task.classifies:
            return (np.where(guess >= 0, 1.0, -1.0) != prompt.y_query).astype(float)
        return np.log((guess - prompt.y_query) ** 2)

    old = error(plain)
    assert before == pytest.approx([old[:6].mean(), old[6:].mean(), error(np.zeros(16))[6:].mean()])
    for edit, found in zip(edits_of(GRID, mlp), numbers, strict=True):
        if edit.kind.startswith(MOVED):
            name = edit.kind.removeprefix(f"{MOVED} ")
            steps = [predict(moved(model, name, edit.layer, d), prompt) - plain for d in directions]  # pyright: ignore
            assert found == pytest.approx([0.0, 0.0, np.mean([np.log(np.abs(step[6:])) for step in steps])])
        else:
            change = error(predict(truncated(model, [edit])[0], prompt)) - old
            expected = [change[:6].mean(), change[6:].mean(), change[6:].std(ddof=1)]
            assert found == pytest.approx(expected, abs=1e-12), edit


@pytest.mark.parametrize("mask", ["demonstrations", "causal"])
@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_without_demonstrations(kind: Kind, mask: str) -> None:
    """A token of zeros is no demonstration: every update is zero, and the prediction 0 whatever the weights."""
    model = model_of(kind, mlp=True).replace(mask=mask)
    nothing = Prompt(
        np.zeros((4, 1, 5)), np.zeros((4, 1)), np.random.default_rng(0).standard_normal((4, 5)), np.ones(4)
    )
    for edit in (Edit("value", 0, 3), Edit("dropped", 1), Edit("all", 2, 1)):
        assert not predict(truncated(model, [edit])[0], nothing).any()
    assert not predict(model, nothing).any()
