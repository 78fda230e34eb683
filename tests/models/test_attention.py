"""One layer and many: the fast forward pass against a token-by-token loop, and the identities of Y Section 3."""

import itertools
from typing import Any

import jax
import numpy as np
import pytest
from helpers import assert_close, error_message, forward_by_token, random_matrices
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import LinearRegression, Model, Prompt, forward, predict
from icl_theory.models.attention import layer_update, second_moment

pytestmark = pytest.mark.usefixtures("strict_promotion")

N, D, LAYERS, HIDDEN = 5, 3, 2, 4
OPTIONS = list(
    itertools.product(("linear", "softmax"), ("demonstrations", "causal", "decoder", "all"), ("mean", "sum"))
)


def make(rng: np.random.Generator, layers: int = LAYERS, mlp: bool = False) -> Model:
    inner, outer = None, None
    if mlp:
        inner, outer = rng.standard_normal((layers, HIDDEN, D)), rng.standard_normal((layers, D, HIDDEN))
    return Model.create(*random_matrices(rng, layers, D), mlp_in=inner, mlp_out=outer)


def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((N, D)), rng.standard_normal(D)


@pytest.mark.parametrize(("kind", "mask", "normalization"), OPTIONS)
def test_token_loop(rng: np.random.Generator, kind: str, mask: str, normalization: str) -> None:
    """Forward is the token loop."""
    model, (tokens, query) = make(rng), data(rng)
    options: dict[str, Any] = {"kind": kind, "mask": mask, "normalization": normalization}
    assert_close(forward(model.replace(**options), tokens, query), forward_by_token(model, tokens, query, **options)[1])


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_mlp_token_loop(rng: np.random.Generator, kind: str, activation: str) -> None:
    """Forward with MLP is the token loop."""
    model, (tokens, query) = make(rng, mlp=True), data(rng)
    expected = forward_by_token(model, tokens, query, kind=kind, activation=activation)[1]
    assert_close(forward(model.replace(kind=kind, activation=activation), tokens, query), expected)


def test_relu(rng: np.random.Generator) -> None:
    """Relu is not the identity."""
    model, (tokens, query) = make(rng, mlp=True), data(rng)
    straight = forward(model, tokens, query)
    assert np.abs(forward(model.replace(activation="relu"), tokens, query) - straight).max() > 1e-3


def test_lemma_1(rng: np.random.Generator) -> None:
    """One layer multiplies the query by I + (1/N) Σ (W_V h)(W_K h)ᵀ W_Q."""
    model, (tokens, query) = make(rng, layers=1), data(rng)
    value, key, matrix = model.value[0], model.key[0], model.query[0]
    delta = sum(np.outer(value @ h, key @ h) for h in tokens) @ matrix / N
    assert_close(forward(model, tokens, query), query + delta @ query)
    assert_close(layer_update(value, key, matrix, second_moment(tokens)), delta)
    assert_close(layer_update(value, key, matrix, second_moment(tokens, "sum")), N * delta)


def test_sum_and_mean(rng: np.random.Generator) -> None:
    """Sum and mean differ by the number of demonstrations."""
    model, (tokens, query) = make(rng, layers=1), data(rng)
    mean = forward(model, tokens, query) - query
    assert_close(forward(model.replace(normalization="sum"), tokens, query) - query, N * mean)


def test_softmax_normalization(rng: np.random.Generator) -> None:
    """Softmax ignores the normalization."""
    model, (tokens, query) = make(rng), data(rng)
    first, second = (forward(model.replace(kind="softmax", normalization=n), tokens, query) for n in ("mean", "sum"))
    np.testing.assert_array_equal(first, second)


def test_softmax_normaliser(rng: np.random.Generator) -> None:
    """With W_K = 0 every score is 1, so the query reads Σ W_V h / (N + 1), not the mean."""
    value, _, query_matrix = random_matrices(rng, 1, D)
    model = Model.create(value, np.zeros((1, D, D)), query_matrix)
    tokens, query = data(rng)
    assert_close(forward(model.replace(kind="softmax"), tokens, query), query + value[0] @ tokens.sum(axis=0) / (N + 1))


def test_large_scores(rng: np.random.Generator) -> None:
    """Large softmax scores do not overflow."""
    model = Model.create(*(np.eye(D)[None] * size for size in (1.0, 100.0, 100.0)))
    tokens, query = data(rng)
    assert np.isfinite(forward(model.replace(kind="softmax"), tokens, query)).all()


@given(order=st.permutations(range(N)), kind=st.sampled_from(["linear", "softmax"]))
def test_order_invariance(rng: np.random.Generator, order: list[int], kind: str) -> None:
    """Order of the demonstrations does not matter."""
    model, (tokens, query) = make(rng), data(rng)
    assert_close(
        forward(model.replace(kind=kind), tokens[order], query), forward(model.replace(kind=kind), tokens, query)
    )


@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_causal_order(rng: np.random.Generator, kind: str) -> None:
    """Order matters with a causal mask from the second layer on."""
    tokens, query = data(rng)
    for layers in (1, 2):
        model = make(rng, layers)
        first = forward(model.replace(kind=kind, mask="causal"), tokens, query)
        second = forward(model.replace(kind=kind, mask="causal"), tokens[::-1], query)
        if layers == 1:
            assert_close(second, first)
        else:
            assert np.abs(first - second).max() > 1e-3


@given(scale=st.floats(0.01, 10.0))
def test_key_query_product(rng: np.random.Generator, scale: float) -> None:
    """Scores depend on key and query through their product."""
    model, (tokens, query) = make(rng), data(rng)
    moved = model.replace(key=model.key * scale, query=model.query / scale)
    for kind in ("linear", "softmax"):
        assert_close(
            forward(moved.replace(kind=kind), tokens, query), forward(model.replace(kind=kind), tokens, query), 1e-9
        )


def test_linear_mlp(rng: np.random.Generator) -> None:
    """Y App. A.3: with the activation dropped, W_out W_in W_V takes the place of W_V."""
    model, (tokens, query) = make(rng, mlp=True), data(rng)
    expected = [model.mlp_out[t] @ model.mlp_in[t] @ model.value[t] for t in range(LAYERS)]
    assert_close(model.left_factor(), np.array(expected))
    bare = Model.create(model.left_factor(), model.key, model.query)
    assert_close(forward(model, tokens, query), forward(bare, tokens, query))
    np.testing.assert_array_equal(bare.left_factor(), bare.value)


@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_readout(rng: np.random.Generator, kind: str) -> None:
    """Predict reads the label slot."""
    model = make(rng)
    prompt = LinearRegression(D - 1, noise_std=0.3).sample(3, 4, N)
    slots = [
        forward_by_token(model, np.column_stack([x, y]), np.append(x_query, 0.0), kind=kind)[1][-1]
        for x, y, x_query in zip(prompt.x, prompt.y, prompt.x_query, strict=True)
    ]
    assert_close(predict(model.replace(kind=kind), prompt), -np.array(slots))
    assert_close(predict(model.replace(kind=kind, readout="plus"), prompt), np.array(slots))


def test_double_precision(rng: np.random.Generator) -> None:
    """Results are double precision even from single."""
    model, (tokens, query) = make(rng), data(rng)
    single = jax.tree.map(lambda a: a.astype(np.float32), model)
    result = forward(single, tokens.astype(np.float32), query.astype(np.float32))
    exact = forward_by_token(single, tokens.astype(np.float32), query.astype(np.float32))[1]
    assert isinstance(result, np.ndarray)
    assert_close(result, exact, 1e-5)
    rounded = jax.tree.map(lambda a: a.astype(np.float64), single)
    assert_close(result, forward(rounded, tokens.astype(np.float32), query.astype(np.float32)))


def test_create_and_members(rng: np.random.Generator) -> None:
    value, key, query = random_matrices(rng, 1, D)
    single = Model.create(value[0], key[0], query[0])
    np.testing.assert_array_equal(single.value, value)
    assert (single.layers, single.token_dim, single.seeds) == (1, D, None)
    ensemble = Model(*(np.stack([a, 2 * a, 3 * a]) for a in (value, key, query)))
    assert (ensemble.layers, ensemble.token_dim, ensemble.seeds) == (1, D, 3)
    np.testing.assert_array_equal(ensemble.member(2).key, 3 * key)
    assert ensemble.member(1).seeds is None


def bad(rng: np.random.Generator) -> dict[str, Any]:
    model, (tokens, query) = make(rng), data(rng)
    ensemble = Model(*(np.stack([a, a]) for a in (model.value, model.key, model.query)))
    return {"model": model, "tokens": tokens, "query": query, "ensemble": ensemble}


def test_forward_refuses(rng: np.random.Generator) -> None:
    b = bad(rng)
    model, tokens, query = b["model"], b["tokens"], b["query"]
    holed = tokens.copy()
    holed[0, 0] = np.nan
    assert "tokens" in error_message(forward, model, holed, query)
    assert "tokens" in error_message(forward, model, tokens[0], query)
    assert "tokens" in error_message(forward, model, tokens[:0], query)
    assert "tokens" in error_message(forward, model, "tokens", query)
    assert "query" in error_message(forward, model, tokens, query[:-1])
    assert "query" in error_message(forward, model, tokens, query * np.inf)
    assert "model" in error_message(forward, model, tokens[:, :-1], query[:-1])
    assert "member" in error_message(forward, b["ensemble"], tokens, query)
    assert "Model.create" in error_message(forward, model.value, tokens, query)
    for name in ("kind", "mask", "normalization", "activation"):
        assert name in error_message(forward, model.replace(**{name: "other"}), tokens, query)


def test_predict_refuses(rng: np.random.Generator) -> None:
    b = bad(rng)
    prompt = LinearRegression(D - 1).sample(0, 4, N)
    assert "readout" in error_message(predict, b["model"].replace(readout="both"), prompt)
    assert "member" in error_message(predict, b["ensemble"], prompt)
    assert "token dimension" in error_message(predict, b["model"], LinearRegression(D).sample(0, 4, N))
    short = Prompt(prompt.x, prompt.y, prompt.x_query[:-1], prompt.y_query)
    assert "x_query" in error_message(predict, b["model"], short)
    holed = Prompt(prompt.x, prompt.y * np.nan, prompt.x_query, prompt.y_query)
    assert "prompt.y" in error_message(predict, b["model"], holed)


def test_bad_models(rng: np.random.Generator) -> None:
    """Errors of create and member."""
    b = bad(rng)
    w = b["model"]
    create = Model.create
    assert "model.value" in error_message(create, w.value[..., :-1], w.key, w.query)
    assert "model.key" in error_message(create, w.value, w.key[:1], w.query)
    assert "model.query" in error_message(create, w.value, w.key, w.query * np.nan)
    inner, outer = np.ones((LAYERS, HIDDEN, D)), np.ones((LAYERS, D, HIDDEN))
    assert "both" in error_message(create, w.value, w.key, w.query, inner)
    assert "both" in error_message(create, w.value, w.key, w.query, None, outer)
    assert "mlp_in" in error_message(create, w.value, w.key, w.query, inner[..., :-1], outer)
    assert "mlp_out" in error_message(create, w.value, w.key, w.query, inner, outer[..., :-1])
    assert "ensemble" in error_message(w.member, 0)
    assert "seed" in error_message(b["ensemble"].member, 2)
    assert "seed" in error_message(b["ensemble"].member, -1)


def test_ragged_lists() -> None:
    """`create` rejects ragged lists."""
    assert "model.value" in error_message(Model.create, [[1.0], [1.0, 2.0]], np.eye(2), np.eye(2))


def test_bad_prompts(rng: np.random.Generator) -> None:
    """`predict` rejects what is no prompt."""
    assert "prompt" in error_message(predict, make(rng), rng.standard_normal((4, N, D)))
