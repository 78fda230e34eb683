"""Truncation of the modules of a model: what is edited, ranks and rates, and the metrics of its tokens."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_close, error_message, random_matrices
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import Model, truncate, truncate_weights
from icl_theory.models.options import Module
from icl_theory.truncation.module_truncation import MODULES, ModuleTruncations, module_rank, rank_of_rate

LAYERS, D, HIDDEN = 2, 4, 6
ARRAYS = ("value", "key", "query", "mlp_in", "mlp_out")


def make(rng: np.random.Generator, mlp: bool = True) -> Model:
    inner, outer = rng.standard_normal((LAYERS, HIDDEN, D)), rng.standard_normal((LAYERS, D, HIDDEN))
    return Model.create(*random_matrices(rng, LAYERS, D), *((inner, outer) if mlp else ()))


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("layer", [0, 1])
def test_touches_its_module(rng: np.random.Generator, module: Module, layer: int) -> None:
    """Truncate weights touches its module only."""
    touched = {
        "attention": {"value", "key", "query"},
        "key_query": {"query"},
        "mlp": {"mlp_in", "mlp_out"},
        "all": set(ARRAYS),
    }.get(module, {module})
    model = make(rng)
    before = {name: getattr(model, name).copy() for name in ARRAYS}
    result = truncate_weights(model, layer=layer, module=module, rank=2)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(model, name), before[name])
        np.testing.assert_array_equal(getattr(result, name)[1 - layer], before[name][1 - layer])
        if name in touched:
            if module != "key_query":
                assert_close(getattr(result, name)[layer], truncate(before[name][layer], 2).matrix)
            assert np.linalg.matrix_rank(getattr(result, name)[layer], tol=1e-9) == 2
        else:
            np.testing.assert_array_equal(getattr(result, name)[layer], before[name][layer])


def test_all_without_mlp(rng: np.random.Generator) -> None:
    """All without MLP is attention."""
    model = make(rng, mlp=False)
    first = truncate_weights(model, layer=1, module="all", rank=1)
    second = truncate_weights(model, layer=1, module="attention", rank=1)
    for name in ("value", "key", "query"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.mlp_in is None
    assert first.mlp_out is None


def test_module_rank(rng: np.random.Generator) -> None:
    """The smallest side of the matrices of a module."""
    model = make(rng)
    narrow = model.replace(mlp_in=model.mlp_in[:, :3], mlp_out=model.mlp_out[:, :, :3])
    assert [module_rank(model, module) for module in MODULES] == [4] * 7
    assert [module_rank(narrow, module) for module in MODULES] == [4, 4, 4, 4, 4, 3, 3]


@pytest.mark.parametrize(
    ("rate", "rows", "columns", "rank"),
    [
        (0, 4, 4, 4),
        (0.5, 4, 8, 2),
        (0.75, 4, 4, 1),
        (0.1, 10, 20, 9),
        (0.9, 10, 10, 1),
        (0.3, 4, 4, 2),
        (0.99, 100, 300, 1),
    ],
)
def test_clipping_rates(rate: float, rows: int, columns: int, rank: int) -> None:
    """The rank is rounded down."""
    assert rank_of_rate(rate, rows, columns) == rank


@given(st.integers(1, 60), st.data())
def test_rate_and_rank(side: int, data: st.DataObject) -> None:
    """The rate of a rank gives the rank back."""
    rank = data.draw(st.integers(1, side))
    assert rank_of_rate(1 - rank / side, side, side + 3) == rank


def test_rate_errors() -> None:
    """Rates out of range, and one that would keep nothing."""
    for rate in (-0.1, 1.0, 1.5, np.nan, "0.5"):
        assert "rate" in error_message(rank_of_rate, rate, 4, 4)
    assert "rank 0" in error_message(rank_of_rate, 0.9, 4, 4)


def test_truncate_weights_errors(rng: np.random.Generator) -> None:
    """Errors of `truncate_weights`."""
    model = make(rng)
    for layer in (-1, LAYERS, 0.0):
        assert "layer" in error_message(truncate_weights, model, layer=layer, module="value", rank=1)
    for rank in (-1, D + 1, 1.0):
        assert "rank" in error_message(truncate_weights, model, layer=0, module="value", rank=rank)
    assert "module" in error_message(truncate_weights, model, layer=0, module="head", rank=1)
    assert "MLP" in error_message(truncate_weights, make(rng, mlp=False), layer=0, module="mlp", rank=1)
    ensemble = Model(*(np.stack([a, a]) for a in (model.value, model.key, model.query)))
    assert "member" in error_message(truncate_weights, ensemble, layer=0, module="value", rank=1)
    assert "Model" in error_message(truncate_weights, model.value, layer=0, module="value", rank=1)
    assert "module" in error_message(module_rank, model, "head")


def layer_update(model: Model, moment: np.ndarray, layer: int = 1) -> np.ndarray:
    """ΔW written out, head by head."""
    model = model.with_heads()
    value, key, query = (getattr(model, name)[layer] for name in ("value", "key", "query"))
    update = np.sum([v @ moment @ k.T @ q for v, k, q in zip(value, key, query, strict=True)], axis=0)
    return update if model.mlp_in is None else model.mlp_out[layer] @ model.mlp_in[layer] @ update


def prompt_moments(rng: np.random.Generator, count: int) -> np.ndarray:
    tokens = rng.standard_normal((count, 9, D)) * [2.0, 1.0, 1.0, 0.5]
    return np.swapaxes(tokens, 1, 2) @ tokens / 9


def test_product_is_identifiable(rng: np.random.Generator) -> None:
    """W_KᵀW_Q is cut to its own best approximation, however it was factored; W_K alone is not."""
    model, mix = make(rng, mlp=False), rng.standard_normal((D, D))
    other = model.replace(key=np.linalg.inv(mix).T @ model.key, query=mix @ model.query)
    for rank in range(D + 1):
        cuts = [truncate_weights(m, layer=1, module="key_query", rank=rank) for m in (model, other)]
        products = [cut.key[1].T @ cut.query[1] for cut in cuts]
        best = truncate(model.key[1].T @ model.query[1], rank).matrix
        for product in products:
            assert_close(product, best, 1e-9)
    first, second = (truncate_weights(m, layer=1, module="key", rank=2) for m in (model, other))
    assert np.abs(first.key[1].T @ first.query[1] - second.key[1].T @ second.query[1]).max() > 0.01
    assert dict(truncate_weights(model, layer=1, module="key_query", rank=2).ranks) == {"query": (None, 2)}


@pytest.mark.parametrize("module", ["value", "key", "query", "key_query"])
@pytest.mark.parametrize("mlp", [False, True])
def test_update_metric(rng: np.random.Generator, module: Module, mlp: bool) -> None:
    """The mean squared change of the update is the least there is: no rank-r change of a direction improves it."""
    model, moments = make(rng, mlp), prompt_moments(rng, 3)
    queries = np.diag([1.0, 2.0, 3.0, 0.0])

    def errors(cut: Model) -> float:
        changes = np.array([layer_update(cut, s) - layer_update(model, s) for s in moments])
        return float(np.trace(queries @ np.einsum("kij,kil->jl", changes, changes)) / len(moments))

    every = ModuleTruncations(model, layer=1, module=module, inputs=moments, queries=queries, target="update")
    name = "query" if module == "key_query" else module
    for rank in (1, 2, 3):
        least = errors(every[rank])
        matrix = getattr(every[rank], name)[1]
        assert np.linalg.matrix_rank(matrix, tol=1e-9) == rank
        # Stationary within the matrices of that rank, whose tangents are E W + W F, and better than other starts.
        for _ in range(6):
            step = 1e-4 * (rng.standard_normal((D, D)) @ matrix + matrix @ rng.standard_normal((D, D)))
            near = [errors(_with(every[rank], name, matrix + sign * step)) for sign in (1, -1)]
            assert min(near) > least
        others: tuple[dict[str, Any], ...]
        others = ({}, {"inputs": moments}, {"inputs": moments.mean(axis=0), "target": "update"})
        for options in others:
            assert errors(truncate_weights(model, layer=1, module=module, rank=rank, **options)) >= least * (1 - 1e-9)
    assert errors(every[D]) < 1e-20


def _with(model: Model, name: str, matrix: np.ndarray) -> Model:
    matrices = getattr(model, name).copy()
    matrices[1] = matrix
    return model.replace(**{name: matrices})


def test_one_update_for_all_modules(rng: np.random.Generator) -> None:
    """At one S the update of rank r is the best one of its rank, whichever matrix was cut, and its norm only falls."""
    model, (moment,) = make(rng, mlp=False), prompt_moments(rng, 1)
    root = np.linalg.cholesky(moment)
    modules: tuple[Module, ...] = ("value", "key", "query", "key_query")
    for rank in range(D + 1):
        best = truncate(layer_update(model, moment) @ root, rank).matrix
        for module in modules:
            cut = truncate_weights(model, layer=1, module=module, rank=rank, inputs=moment, target="update")
            assert_close(layer_update(cut, moment) @ root, best, 1e-8)


@pytest.mark.parametrize("module", ["value", "key", "query", "key_query"])
def test_output_metric(rng: np.random.Generator, module: Module) -> None:
    """Every matrix for the tokens it is applied to; the product for the score of two of them."""
    model, moments, queries = make(rng), prompt_moments(rng, 2), np.diag([3.0, 2.0, 1.0, 0.0])
    cut = truncate_weights(model, layer=0, module=module, rank=2, inputs=moments, queries=queries)
    tokens = moments.mean(axis=0)
    metrics = {"value": {"inputs": tokens}, "key": {"inputs": tokens}, "query": {"inputs": queries}}
    if module == "key_query":
        best = truncate(model.key[0].T @ model.query[0], 2, inputs=queries, outputs=tokens).matrix
        assert_close(cut.key[0].T @ cut.query[0], best, 1e-9)
    else:
        assert_close(getattr(cut, module)[0], truncate(getattr(model, module)[0], 2, **metrics[module]).matrix, 1e-10)


def test_heads_each_by_itself(rng: np.random.Generator) -> None:
    """Every head is cut in the metric of its own partners."""
    shape = (LAYERS, 2, D, D)
    model = Model.create(*rng.standard_normal((3, *shape)), heads=2)
    moments = prompt_moments(rng, 2)
    for module in ("value", "key", "query", "key_query"):
        cut = truncate_weights(model, layer=1, module=module, rank=2, inputs=moments, target="update")
        for head in range(2):
            parts = {name: getattr(model, name)[:, head] for name in ("value", "key", "query")}
            single = Model.create(**parts)
            alone = truncate_weights(single, layer=1, module=module, rank=2, inputs=moments, target="update")
            for name in parts:
                assert_close(getattr(cut, name)[1, head], getattr(alone, name)[1], 1e-9)


def test_notes_and_errors(rng: np.random.Generator) -> None:
    """Where a cut is not unique it says so; a metric that does not fit is an error with the reason."""
    model = make(rng)
    unit = model.replace(value=np.stack([np.eye(D)] * LAYERS))
    assert "equal" in ModuleTruncations(unit, layer=0, module="value").notes(2)[0]
    assert ModuleTruncations(model, layer=0, module="all").notes(2) == ()
    moment = np.eye(D)

    def message(module: Module, model: Model = model, **options: object) -> str:
        return error_message(truncate_weights, model, layer=0, module=module, rank=1, **options)

    assert "inputs" in message("value", target="update")
    assert "inputs" in message("value", queries=moment)
    assert "MLP" in message("mlp", inputs=moment)
    assert "MLP" in message("all", inputs=moment)
    assert "inputs" in message("value", inputs=np.eye(D + 1))
    assert "queries" in message("value", inputs=moment, queries=np.eye(2))
    assert "eigenvalue" in message("value", inputs=np.stack([moment, -moment]))
    assert "target" in message("value", inputs=moment, target="risk")
    assert "softmax" in message("value", model.replace(kind="softmax"), inputs=moment, target="update")
    assert "relu" in message("value", model.replace(activation="relu"), inputs=moment, target="update")
    with pytest.raises(IndexError, match="ranks 0 to 4"):
        ModuleTruncations(model, layer=0, module="value")[5]
    assert len(ModuleTruncations(model, layer=0, module="value")[1:3]) == 2


@pytest.mark.parametrize("module", MODULES)
def test_several_layers(rng: np.random.Generator, module: Module) -> None:
    """Layers truncated at once are layers truncated one after the other, and known ranks are noted for both."""
    model = make(rng)
    found = truncate_weights(model, layer=[1, 0], module=module, rank=2)
    other = truncate_weights(truncate_weights(model, layer=0, module=module, rank=2), layer=1, module=module, rank=2)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(other, name))
    assert dict(found.ranks) == dict(other.ranks)
    assert "one layer" in error_message(truncate_weights, model, layer=[0, 1], module="value", rank=1, inputs=np.eye(D))
    for wrong in ([], "01", None, 1.5):
        assert "a list of them" in error_message(truncate_weights, model, layer=wrong, module="value", rank=1)


def test_smallest_components(rng: np.random.Generator) -> None:
    """Every matrix keeps its smallest components; ranks that follow are noted, those of a product are not."""
    model = make(rng)
    found = truncate_weights(model, layer=0, module="all", rank=3, components="smallest")
    for name in ARRAYS:
        assert_close(getattr(found, name)[0], truncate(getattr(model, name)[0], 3, components="smallest").matrix)
    assert dict(found.ranks)["value"] == (3, None)
    twice = truncate_weights(
        truncate_weights(model, layer=0, module="value", rank=2), layer=0, module="value", rank=3, components="smallest"
    )
    assert dict(twice.ranks)["value"] == (1, None)
    assert np.linalg.matrix_rank(twice.value[0], tol=1e-12) == 1
    product = truncate_weights(model, layer=0, module="key_query", rank=1, components="smallest")
    scores = truncate(model.key[0].T @ model.query[0], 1, components="smallest").matrix
    assert_close(product.key[0].T @ product.query[0], scores, 1e-10)
    assert "query" not in dict(product.ranks)
    assert "without one" in error_message(
        truncate_weights, model, layer=0, module="value", rank=1, inputs=np.eye(D), components="smallest"
    )
