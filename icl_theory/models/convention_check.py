"""Whether a file's own predictions are those of the model that was read, or under which convention they would be."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from icl_theory.core import checks
from icl_theory.models.attention import predict
from icl_theory.models.foreign import Conversion, converted
from icl_theory.models.layouts import Layout
from icl_theory.models.model import Model
from icl_theory.tasks.prompt import Prompt

TOKENS, PREDICTIONS = "check_tokens", "check_predictions"
"""Arrays of a file with prompts (n, N + 1, D), the query's token last, and what the model of the file predicts."""
TOLERANCE = 1e-3
"""Largest difference of predictions, relative to the largest of them: those of a model in float16 reach it."""


def checked_conversion(arrays: Mapping[str, np.ndarray], layout: Layout) -> Conversion:
    """The model, held against the predictions in the file if there are any.

    Raises: ValueError as `converted`, and for predictions of another model, naming the conventions that would fit.
    """
    weights = {name: array for name, array in arrays.items() if name not in (TOKENS, PREDICTIONS)}
    found = converted(weights, layout)
    if TOKENS not in arrays or PREDICTIONS not in arrays:
        return found
    difference = residual(found.model, arrays, layout)
    if difference > TOLERANCE:
        fitting = [words for words, other in _others(layout) if _fits(weights, arrays, other)]
        hint = f"they fit with {' or with '.join(fitting[:3])}" if fitting else "no other convention known here fits"
        got = f"a model that differs by {difference:.1e} of the largest from {PREDICTIONS}"
        raise checks.error("layout", got, "a model that makes these predictions", hint)
    prompts = len(arrays[PREDICTIONS])
    note = f"its predictions on the {prompts} prompts of the file: largest difference {difference:.1e} of the largest"
    return replace(found, notes=(*found.notes, note))


def residual(model: Model, arrays: Mapping[str, np.ndarray], layout: Layout) -> float:
    """Largest difference between the model's predictions and the file's, relative to the largest of them."""
    told = checks.array(PREDICTIONS, arrays[PREDICTIONS], (None, None)[: max(np.ndim(arrays[PREDICTIONS]), 1)])
    tokens = checks.array(TOKENS, arrays[TOKENS], (len(told), None, model.token_dim), "(prompts, N + 1, D)")
    outputs = layout.label_entries
    if outputs != (told.shape[1] if told.ndim == 2 else 1):
        raise checks.error(PREDICTIONS, f"shape {told.shape}", f"labels of {outputs} entries", "set label_entries")
    if layout.labels_first:
        tokens = np.roll(tokens, -outputs, axis=2)
    x, y = tokens[:, :-1, :-outputs], tokens[:, :-1, -outputs:]
    labels = y if told.ndim == 2 else y[..., 0]
    prompt = Prompt(x, labels, tokens[:, -1, :-outputs], np.zeros_like(told))
    return float(np.abs(predict(model, prompt) - told).max() / max(np.abs(told).max(), np.finfo(float).tiny))


def _others(layout: Layout) -> Iterator[tuple[str, Layout]]:
    """Conventions that are easily mistaken for one another, the nearest first, and how each differs from this one."""
    flips = {
        "readout": {"minus": "plus", "plus": "minus"}[layout.readout],
        "transposed": not layout.transposed,
        "normalization": {"mean": "sum", "sum": "mean"}[layout.normalization],
        "labels_first": not layout.labels_first,
        "kind": {"linear": "softmax", "softmax": "linear"}[layout.kind],
        "mask": {"demonstrations": "causal", "causal": "decoder"}.get(layout.mask, "demonstrations"),
    }
    for count in range(1, len(flips) + 1):
        for names in itertools.combinations(flips, count):
            changes = {name: flips[name] for name in names}
            yield " ".join(f"{name}={value}" for name, value in changes.items()), replace(layout, **changes)


def _fits(weights: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray], layout: Layout) -> bool:
    try:
        return residual(converted(weights, layout).model, arrays, layout) <= TOLERANCE
    except checks.InvalidInputError:
        return False  # shapes that this convention does not allow
