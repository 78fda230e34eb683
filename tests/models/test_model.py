"""Weights: layers written out several times, an MLP folded into W_V, members, and what is rejected."""

import numpy as np
import pytest
from helpers import error_message

from icl_theory import Model
from icl_theory.models.checked import checked


def marked(*shape: int) -> np.ndarray:
    """Numbers that are all different."""
    return np.arange(1.0, np.prod(shape) + 1).reshape(shape) / 7


@pytest.mark.parametrize("heads", [None, 2])
def test_repeated(heads):
    """1, 2, 1, 2, 1, 2, and not 1, 1, 1, 2, 2, 2; the MLP along with the attention."""
    shape = (2, 3, 3) if heads is None else (2, 2, 3, 3)
    matrices = [marked(*shape) + k for k in range(3)]
    value, key, query = matrices
    model = Model.create(value, key, query, marked(2, 4, 3), marked(2, 3, 4) - 9, heads=heads)
    written = model.repeated(3)
    assert (written.layers, written.heads) == (6, heads)
    for name in ("value", "key", "query", "mlp_in", "mlp_out"):
        once, out = getattr(model, name), getattr(written, name)
        for layer in range(6):
            np.testing.assert_array_equal(out[layer], once[layer % 2])


def test_folded_mlp():
    """A linear MLP is folded in from the left layer by layer."""
    value, inner, outer = marked(2, 3, 3), marked(2, 4, 3) - 2, marked(2, 3, 4) - 1
    model = Model.create(value, value + 1, value + 2, inner, outer)
    for layer in range(2):
        expected = np.zeros((3, 3))
        for i in range(3):
            for j in range(3):
                expected[i, j] = sum(
                    outer[layer, i, k] * inner[layer, k, m] * value[layer, m, j] for k in range(4) for m in range(3)
                )
        np.testing.assert_allclose(model.left_factor()[layer], expected, rtol=1e-13)
    bare = model.without_mlp()
    assert bare.mlp_in is bare.mlp_out is None
    np.testing.assert_array_equal(bare.key, model.key)


def test_members():
    """First layers and members."""
    several = Model(*(marked(2, 3, 2, 2) + k for k in range(3)))
    assert (several.seeds, several.layers, several.heads) == (2, 3, None)
    second = several.member(1)
    np.testing.assert_array_equal(second.query, several.query[1])
    np.testing.assert_array_equal(second.first_layers(2).value, several.value[1, :2])
    assert "ensemble of seeds" in error_message(checked, several)
    assert "seed: got 2" in error_message(several.member, 2)
    assert "single model" in error_message(second.member, 0)


def test_bad_models():
    """Half an MLP and a wrong number of heads are errors."""
    value = marked(2, 3, 3)
    for parts in ((marked(2, 4, 3), None), (None, marked(2, 3, 4))):
        assert "mlp" in error_message(Model.create, value, value, value, *parts)
    assert "heads" in error_message(checked, Model(value[:, None], value[:, None], value[:, None], heads=2))
