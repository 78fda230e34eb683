"""Predictions after every selection: one forward pass at a time, the two methods, masked queries, and the order."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_close, forward_by_token, random_matrices

from icl_theory import Model, Prompt, predict
from icl_theory.information.supersample import predictions
from icl_theory.information.supersample.predictions import by_moments, by_tokens, equal_blocks, selection_predictions
from icl_theory.information.supersample.selection_information import selections

D, COUNT, SIZE = 4, 3, 2
BITS = selections(COUNT, None, np.random.default_rng(0))
FAMILY = [
    ("linear", "demonstrations", "mean", "identity"),
    ("linear", "demonstrations", "sum", "relu"),
    ("linear", "causal", "sum", "identity"),
    ("softmax", "demonstrations", "mean", "identity"),
    ("softmax", "causal", "mean", "relu"),
    ("linear", "decoder", "mean", "relu"),
    ("softmax", "decoder", "mean", "identity"),
    ("linear", "all", "sum", "identity"),
    ("softmax", "all", "mean", "relu"),
]


def make(rng, layers=2, *, heads=None, mlp=False, dimension=D):
    width = layers if heads is None else layers * heads
    matrices = random_matrices(rng, width, dimension)
    if heads is not None:
        matrices = tuple(m.reshape(layers, heads, dimension, dimension) for m in matrices)
    inner, outer = (rng.standard_normal((layers, *s)) / 2 for s in ((dimension + 2, dimension), (dimension, 6)))
    return Model.create(*matrices, *((inner, outer[..., : dimension + 2]) if mlp else ()), heads=heads)


def one_by_one(model, pairs, readout, named, outputs=1):
    """A prompt of its own for every selection and token, for `predict` and for the loop over tokens."""
    shape = (len(pairs), len(BITS), COUNT, 2, outputs)
    shown, asked = [], []
    for s, m, i, u in np.ndindex(shape[:-1]):
        shown.append([pairs[s, j, int(bit)] for j, bit in enumerate(BITS[m])])
        asked.append(np.append(pairs[s, i, u][:-outputs], np.zeros(outputs)))
    slots = np.array([forward_by_token(model, *one, **named)[1][-outputs:] for one in zip(shown, asked, strict=True)])
    x, y = np.split(np.array(shown), [-outputs], axis=-1)
    prompt = Prompt(x, y if outputs > 1 else y[..., 0], np.array(asked)[:, :-outputs], None)
    made = predict(model.replace(readout=readout, **named), prompt).reshape(-1, outputs)
    assert_close(made, slots if readout == "plus" else -slots, 1e-10)
    return made.reshape(shape)


@pytest.mark.parametrize(("kind", "mask", "normalization", "activation"), FAMILY)
def test_every_member(rng, kind, mask, normalization, activation):
    """Two heads, an MLP and two layers; N = 3, all 8 selections of two supersamples, every token of every pair."""
    model, pairs = make(rng, heads=2, mlp=True), rng.standard_normal((SIZE, COUNT, 2, D))
    named: dict[str, Any] = {"kind": kind, "mask": mask, "normalization": normalization, "activation": activation}
    readout = "plus" if normalization == "sum" else "minus"
    made = selection_predictions(model.replace(**named, readout=readout), pairs, BITS)
    assert_close(made, one_by_one(model, pairs, readout, named), 1e-10)


@pytest.mark.parametrize("named", [{"kind": "softmax"}, {"mask": "causal"}], ids=str)
def test_one_head(rng, named):
    """The same with one head and no MLP."""
    model, pairs = make(rng), rng.standard_normal((SIZE, COUNT, 2, D))
    made = selection_predictions(model.replace(**named), pairs, BITS)
    assert_close(made, one_by_one(model, pairs, "minus", named), 1e-10)


@pytest.mark.parametrize("named", [{}, {"kind": "softmax"}], ids=str)
def test_vector_labels(rng, named):
    """Labels that are vectors one by one."""
    model, pairs = make(rng), rng.standard_normal((SIZE, COUNT, 2, D))
    made = selection_predictions(model.replace(**named), pairs, BITS, outputs=2)
    assert made.shape == (SIZE, 8, COUNT, 2, 2)
    assert_close(made, one_by_one(model, pairs, "minus", named, outputs=2), 1e-10)


@pytest.mark.parametrize(
    ("layers", "changes", "normalization", "readout"),
    [
        (1, {"mlp": True}, "mean", "plus"),
        (2, {}, "sum", "plus"),
        (2, {"heads": 2}, "mean", "minus"),
        (2, {"heads": 2, "mlp": True}, "sum", "minus"),
        (3, {}, "mean", "minus"),
    ],
)
def test_both_methods(rng, layers, changes, normalization, readout):
    """Both methods agree on linear models."""
    model, pairs = make(rng, layers, **changes), rng.standard_normal((SIZE, COUNT, 2, D))
    model = model.replace(value=model.value / layers)
    model = model.replace(normalization=normalization, readout=readout)
    assert_close(by_tokens(model, pairs, BITS, 1), by_moments(model, pairs, BITS), 1e-10)


@pytest.mark.parametrize(
    ("named", "changes", "method"),
    [
        ({}, {}, "by_moments"),
        ({"normalization": "sum"}, {"heads": 2, "mlp": True}, "by_moments"),
        ({"activation": "relu"}, {}, "by_moments"),
        ({"activation": "relu"}, {"mlp": True}, "by_tokens"),
        ({"kind": "softmax"}, {}, "by_tokens"),
        ({"mask": "causal"}, {}, "by_tokens"),
    ],
    ids=str,
)
def test_choice_of_method(rng, monkeypatch, named, changes, method):
    """Models linear in S go by moments, all others by tokens."""
    taken = []
    for name in ("by_moments", "by_tokens"):
        monkeypatch.setattr(predictions, name, lambda *args, name=name: taken.append(name) or np.zeros(1))
    selection_predictions(make(rng, **changes).replace(**named), np.zeros((SIZE, COUNT, 2, D)), BITS)
    assert taken == [method]


@pytest.mark.parametrize(("kind", "mask"), [("softmax", "demonstrations"), ("linear", "causal"), ("softmax", "causal")])
@pytest.mark.parametrize("layers", [1, 2])
def test_causal_order(rng, kind, mask, layers):
    """Order of the pairs matters with a causal mask from the second layer on."""
    model, pairs = make(rng, layers), rng.standard_normal((SIZE, COUNT, 2, D))
    model, order = model.replace(kind=kind, mask=mask), [2, 0, 1]
    first = selection_predictions(model, pairs, BITS)[:, :, order]
    second = selection_predictions(model, pairs[:, order], BITS[:, order])
    if mask == "causal" and layers > 1:
        assert np.abs(first - second).max() > 1e-3
    else:
        assert_close(second, first, 1e-12)


@pytest.mark.parametrize("named", [{}, {"kind": "softmax"}, {"mask": "causal"}], ids=str)
def test_masked_labels(rng, named):
    """Token 1 of pair 0 gets another label: nothing changes where token 0 is shown, neither for others nor itself."""
    model, pairs = make(rng), rng.standard_normal((SIZE, COUNT, 2, D))
    other = pairs.copy()
    other[:, 0, 1, -1] += 1.0
    first, second = (selection_predictions(model.replace(**named), p, BITS) for p in (pairs, other))
    shown = BITS[:, 0]
    np.testing.assert_array_equal(first[:, ~shown], second[:, ~shown])
    assert (first[:, shown] != second[:, shown]).all()


@pytest.mark.parametrize("named", [{"kind": "softmax"}, {"mask": "causal"}], ids=str)
def test_blocks_change_nothing(rng, monkeypatch, named):
    """Six blocks of three runs, or one of sixteen; the two programs may round differently."""
    model, pairs = make(rng).replace(**named), rng.standard_normal((SIZE, COUNT, 2, D))
    whole = by_tokens(model, pairs, BITS, 1)
    entries = predictions._entries(model, COUNT)
    monkeypatch.setattr(predictions, "_BLOCK_ENTRIES", 3 * entries)
    assert_close(by_tokens(model, pairs, BITS, 1), whole, 1e-13)


def test_blocks_of_moments(rng, monkeypatch):
    """Five supersamples at once, or in three blocks of two, the last filled up with the first."""
    model, pairs = make(rng), rng.standard_normal((5, COUNT, 2, D))
    whole = by_moments(model, pairs, BITS)
    monkeypatch.setattr(predictions, "_BLOCK_ENTRIES", 2 * len(BITS) * D**2)
    assert_close(by_moments(model, pairs, BITS), whole, 1e-13)


@pytest.mark.parametrize(("count", "most"), [(1, 0), (7, 0), (7, 1), (7, 3), (9, 4), (10, 10), (10, 99)])
def test_equal_blocks(count, most):
    """Blocks of one size, as few as the largest size allows, that cover every index."""
    blocks = list(equal_blocks(count, most))
    assert len({len(block) for block in blocks}) == 1
    assert len(blocks[0]) <= max(1, most)
    assert len(blocks) == -(-count // max(1, most))
    assert np.concatenate(blocks)[:count].tolist() == list(range(count))
    assert max(map(max, blocks)) < count
