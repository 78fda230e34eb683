"""Noise at every rank from one decomposition against truncated weights one by one, and the dense definition."""

import numpy as np
import pytest
from helpers import error_message

from icl_theory import Model, gradient_noise, random_weights, truncate_weights, truncation_noise
from icl_theory.noise.truncation_noise import TruncationNoise


def one_by_one(model, tokens, shots, module, layer, ranks) -> TruncationNoise:
    found = [
        gradient_noise(truncate_weights(model, layer=layer, module=module, rank=r), tokens, shots=shots, layer=layer)
        for r in ranks
    ]
    return TruncationNoise(
        np.array(ranks),
        np.array([noise.rank for noise in found]),
        np.array([noise.trace for noise in found]),
        np.array([noise.log_pseudo_determinant for noise in found]),
        tuple(noise.spectrum for noise in found),
    )


def well_conditioned(dimension: int, layers: int = 2) -> Model:
    """Well conditioned, so that the slow twin can be trusted to 1e-9."""
    loose, eye = random_weights(3, layers=layers, token_dim=dimension, scale=0.4), 0.8 * np.eye(dimension)
    return Model.create(loose.value + eye, loose.key + eye, loose.query + eye)


@pytest.mark.parametrize("module", ["value", "key", "query"])
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("count", [9, 60])
def test_truncated_weights(module, layer, count):
    """N = 9 goes rank by rank through the gradients, N = 60 through nested features (d_S = 21)."""
    model = well_conditioned(6)
    tokens = 0.7 * np.random.default_rng(count).standard_normal((count, 6))
    got = truncation_noise(model, tokens, shots=4, module=module, layer=layer)
    expected = one_by_one(model, tokens, 4, module, layer, range(1, 7))
    assert (got.spectra is None) == (count == 60)
    np.testing.assert_array_equal(got.ranks, np.arange(1, 7))
    np.testing.assert_array_equal(got.dimension, expected.dimension)
    np.testing.assert_allclose(got.trace, expected.trace, rtol=1e-10)
    np.testing.assert_allclose(got.log_pseudo_determinant, expected.log_pseudo_determinant, rtol=1e-9, atol=1e-8)
    for mine, other in zip(got.spectra or (), expected.spectra or (), strict=count == 9):
        np.testing.assert_allclose(mine, other, rtol=1e-7)


@pytest.mark.parametrize(("module", "count"), [("value", 40), ("query", 40), ("key", 7)])
def test_dense_definition(module, count):
    """Against the dense definition."""
    model = well_conditioned(4, layers=1)
    tokens = np.random.default_rng(1).standard_normal((count, 4))
    got = truncation_noise(model, tokens, shots=3, module=module)
    for i, rank in enumerate(got.ranks):
        cut = truncate_weights(model, layer=0, module=module, rank=int(rank))
        values = np.linalg.eigvalsh(gradient_noise(cut, tokens, shots=3).dense())[::-1]
        assert got.trace[i] == pytest.approx(values.sum(), rel=1e-10)
        kept = values[: got.dimension[i]]
        assert values[got.dimension[i]] < 1e-9 * kept[-1]
        assert got.log_pseudo_determinant[i] == pytest.approx(np.log(kept).sum(), rel=1e-9, abs=1e-9)


def test_chosen_ranks():
    """Chosen ranks and a known decomposition."""
    model = well_conditioned(6, layers=1)
    tokens = np.random.default_rng(2).standard_normal((60, 6))
    whole = truncation_noise(model, tokens, shots=4, module="value")
    some = truncation_noise(
        model, tokens, shots=4, module="value", ranks=(5, 2, 2), decomposition=np.linalg.svd(model.value[0])
    )
    np.testing.assert_array_equal(some.ranks, [2, 5])
    np.testing.assert_allclose(some.log_pseudo_determinant, whole.log_pseudo_determinant[[1, 4]], rtol=1e-12)


def test_degenerate_tokens():
    """Tokens on a hyperplane, and a key of low rank: supports are smaller than the nested form gives."""
    model, rng = well_conditioned(4, layers=1), np.random.default_rng(3)
    flat = rng.standard_normal((40, 4)) @ np.diag([1, 1, 1, 0])
    low = truncate_weights(model, layer=0, module="key", rank=2)
    for member, tokens in ((model, flat), (low, rng.standard_normal((40, 4)))):
        got = truncation_noise(member, tokens, shots=3, module="value")
        expected = one_by_one(member, tokens, 3, "value", 0, range(1, 5))
        assert got.spectra is not None
        np.testing.assert_array_equal(got.dimension, expected.dimension)
        np.testing.assert_allclose(got.log_pseudo_determinant, expected.log_pseudo_determinant, rtol=1e-7)


def test_errors():
    """Modules, ranks, shots and models that do not fit."""
    model, tokens = well_conditioned(4, layers=1), np.random.default_rng(1).standard_normal((9, 4))
    assert "attention" in error_message(truncation_noise, model, tokens, shots=3, module="attention")
    assert "ranks: got 5" in error_message(truncation_noise, model, tokens, shots=3, module="key", ranks=[5])
    assert "shots: got 9" in error_message(truncation_noise, model, tokens, shots=9, module="key")
    mlp = model.replace(mlp_in=np.ones((1, 5, 4)), mlp_out=np.ones((1, 4, 5)))
    assert "an MLP" in error_message(truncation_noise, mlp, tokens, shots=3, module="value")
