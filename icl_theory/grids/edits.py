"""The edits of a model's weights: truncations, layers dropped, small random changes; and the errors after them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from icl_theory.grids.registration import Grid
from icl_theory.models.attention import predict_each
from icl_theory.models.model import MATRICES, Model
from icl_theory.models.options import Matrix, Module
from icl_theory.tasks.base import Task
from icl_theory.tasks.prompt import Prompt
from icl_theory.truncation.module_truncation import ModuleTruncations

ATTENTION_MODULES: tuple[Module, ...] = ("value", "key", "query", "key_query", "attention")
MLP_MODULES: tuple[Module, ...] = ("mlp", "all")
DROPPED, MOVED = "dropped", "moved"
SIZE = 0.01
"""Length of a random edit, as a share of the Frobenius norm of its matrix."""
VALIDATION, TEST, THIRD = range(3)
"""Columns of the numbers of an edit: change of the error on validation prompts, on test prompts, and the third: of a
random edit the mean of log |change of the prediction|, of any other the standard deviation of the change of the error
over test prompts."""


class Edit(NamedTuple):
    """What is done to which layer."""

    kind: str
    """A module that is truncated, "dropped" for a whole layer, "moved value" and so on for random edits."""
    layer: int
    """Counted from 0."""
    rank: int = 0
    """Kept by a truncation; 0 for others."""


def edits_of(grid: Grid, mlp: str) -> list[Edit]:
    """Every edit of the models with that MLP, in a fixed order.

    Args:
        grid: ranks and layers.
        mlp: "none" or "relu".
    """
    modules = ATTENTION_MODULES + (MLP_MODULES if mlp == "relu" else ())
    layers = range(grid.layers)
    return [
        *(Edit(module, layer, rank) for layer in layers for module in modules for rank in grid.ranks),
        *(Edit(DROPPED, layer) for layer in layers),
        *(Edit(f"{MOVED} {name}", layer) for layer in layers for name in ("value", "key", "query")),
    ]


def truncated(model: Model, edits: Sequence[Edit]) -> list[Model]:
    """The model after each edit that is a truncation or drops a layer.

    Args:
        model: a single model.
        edits: no random ones.
    """
    cuts: dict[tuple[str, int], ModuleTruncations] = {}
    found = []
    for kind, layer, rank in edits:
        if kind == DROPPED:
            matrices = {name: getattr(model, name) for name in MATRICES if getattr(model, name) is not None}
            found.append(model.replace(**{name: np.delete(matrix, layer, axis=0) for name, matrix in matrices.items()}))
            continue
        if (kind, layer) not in cuts:
            module: Module = kind  # pyright: ignore[reportAssignmentType]
            cuts[kind, layer] = ModuleTruncations(model, layer=layer, module=module)
        found.append(cuts[kind, layer][rank])
    return found


def moved(model: Model, name: Matrix, layer: int, direction: np.ndarray) -> Model:
    """The model with one matrix moved by 1 % of its norm.

    Args:
        model: a single model.
        name: of the matrix.
        layer: of the matrix.
        direction: of any length, shape of the matrix.
    """
    matrices = np.array(getattr(model, name))
    matrices[layer] += SIZE * np.linalg.norm(matrices[layer]) / np.linalg.norm(direction) * direction
    return model.replace(**{name: matrices})


def errors(task: Task, predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """log of the squared error, or for classes 1 where the prediction is wrong, of every prediction.

    The mean of squared errors is ruled by a few prompts once a layer of a deep linear model is broken; that of their
    logarithms is not.

    Args:
        task: classes or not.
        predictions: shape (models, prompts).
        labels: shape (prompts,).
    """
    if task.classifies:
        return np.array([1.0 - task.correct(row, labels) for row in predictions])
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # what is not finite is counted as such
        return 2 * np.log(np.abs(predictions - labels))


def edit_numbers(
    grid: Grid, task: Task, model: Model, mlp: str, prompt: Prompt, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the untouched model (validation, test) and of the prediction 0 (test); the numbers of every edit.

    Args:
        grid: the numbers.
        task: what the prompts are of.
        model: a single model.
        mlp: "none" or "relu".
        prompt: validation prompts, then test prompts.
        directions: of the random edits, shape (directions, D, D), the same for every matrix and layer.

    Returns: shapes (3,) and (edits, 3).
    """
    edits = edits_of(grid, mlp)
    cuts = [edit for edit in edits if not edit.kind.startswith(MOVED)]
    dropped = [edit.kind == DROPPED for edit in cuts]
    models = truncated(model, cuts)
    before = predict_each([model], prompt)
    same_depth = predict_each([m for m, gone in zip(models, dropped, strict=True) if not gone], prompt)
    shallower = predict_each([m for m, gone in zip(models, dropped, strict=True) if gone], prompt)
    after = np.concatenate([same_depth, shallower])  # `edits_of` has the dropped layers behind the truncations
    old = errors(task, before, prompt.y_query)
    zero = errors(task, np.zeros((1, len(prompt.y_query))), prompt.y_query)
    change = errors(task, after, prompt.y_query) - old
    parts = slice(0, grid.validation), slice(grid.validation, None)
    numbers = np.column_stack(
        [*(change[:, part].mean(axis=1) for part in parts), change[:, parts[1]].std(axis=1, ddof=1)]
    )
    steps = np.array(
        [_size_of_moves(model, edit, prompt, before[0], directions, parts[1]) for edit in edits[len(cuts) :]]
    )
    rest = np.column_stack([np.zeros((len(steps), 2)), steps])
    untouched = np.array([*(old[0, part].mean() for part in parts), zero[0, parts[1]].mean()])
    return untouched, np.concatenate([numbers, rest])


def _size_of_moves(
    model: Model, edit: Edit, prompt: Prompt, before: np.ndarray, directions: np.ndarray, part: slice
) -> float:
    """Mean over directions and test prompts of log |prediction after a random edit - before|."""
    name: Matrix = edit.kind.removeprefix(f"{MOVED} ")  # pyright: ignore[reportAssignmentType]
    after = predict_each([moved(model, name, edit.layer, direction) for direction in directions], prompt)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return float(np.log(np.abs(after - before))[:, part].mean())
