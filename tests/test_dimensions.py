"""Sizes and branches that other tests pass by: large D, many layers, several heads, odd shapes, exact small cases."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, forward_by_token, gradients, nonzero_spectrum

import icl_theory as it
from icl_theory.descent.implied_weights import FEW_LAYERS, SMALL, final_implied_weights
from icl_theory.models.model import Model
from icl_theory.models.options import Matrix
from icl_theory.risk.one_layer import one_layer_risk
from icl_theory.risk.population import risk_and_losses
from icl_theory.tasks.laws import Gaussian, Uniform
from icl_theory.training.ensemble import OVERFLOW_LOSS, _loss_without_lost_prompts

MIX = np.array([[1.0, 0.3], [0.3, 0.7]])


def drawn(seed: int, layers: int, dimension: int, heads: int | None = None, hidden: int = 0, scale: float = 0.5) -> Any:
    """Random weights, no matrix of them symmetric."""
    rng, lead = np.random.default_rng(seed), (layers,) if heads is None else (layers, heads)
    matrices = rng.standard_normal((3, *lead, dimension, dimension)) * scale / np.sqrt(dimension)
    mlp = (rng.standard_normal((layers, hidden, dimension)), rng.standard_normal((layers, dimension, hidden)))
    return Model.create(*matrices, *((m / np.sqrt(dimension) for m in mlp) if hidden else ()), heads=heads)


def moments(seed: int, dimension: int, count: int, shots: int = 12) -> np.ndarray:
    tokens = np.random.default_rng(seed).standard_normal((count, shots, dimension))
    return tokens.swapaxes(1, 2) @ tokens / shots


def implied_by_loop(model: Model, s: np.ndarray) -> np.ndarray:
    """p of the minus readout, head by head; no conjugate and no absolute value, so that weights may be complex."""
    m: Any = np.eye(len(s))
    explicit = model.with_heads()
    for t in range(explicit.layers):
        step = sum(
            value @ m @ s @ m.T @ key.T @ query @ m
            for value, key, query in zip(explicit.value[t], explicit.key[t], explicit.query[t], strict=True)
        )
        m = m + (step if model.mlp_in is None else model.mlp_out[t] @ model.mlp_in[t] @ step)
    return -m[-1, :-1]


def fast(model: Model, stack: Any) -> Any:
    return final_implied_weights(model, jnp.moveaxis(stack, 0, -1)).T


@pytest.mark.parametrize(("layers", "heads", "hidden"), [(3, None, 0), (4, 2, 0), (3, 2, 5)])
@pytest.mark.parametrize("dimension", [SMALL, SMALL + 1])
def test_large_tokens(dimension: int, layers: int, heads: int | None, hidden: int) -> None:
    """From D = 8 and L = 3 on a product of two matrices that are not symmetric goes through `einsum`."""
    model, stack = drawn(dimension, layers, dimension, heads, hidden), moments(1, dimension, 5)
    expected = np.array([implied_by_loop(model, s) for s in stack])
    with jax.enable_x64(True):
        found = np.asarray(fast(model, jnp.asarray(stack)))
    assert_close(found, expected, 1e-10)
    assert np.abs(np.array([implied_by_loop(model.first_layers(2), s) for s in stack]) - expected).max() > 1e-3


def directional(model: Model, stack: np.ndarray, w: np.ndarray, along: Model) -> float:
    """Derivative of Σ |p - w|² along a direction, by a complex step: no difference of near numbers, no digit lost."""
    moved = jax.tree.map(lambda a, b: a + 1e-30j * b, model, along)
    loss = sum(((implied_by_loop(moved, s) - target) ** 2).sum() for s, target in zip(stack, w, strict=True))
    return float(np.imag(loss) / 1e-30)


def test_checkpointed_layers() -> None:
    """Beyond FEW_LAYERS the inside of a layer is computed again for the gradient."""
    model, stack = drawn(2, FEW_LAYERS + 1, 3, scale=0.7), moments(3, 3, 4)
    w = np.random.default_rng(4).standard_normal((4, 2))
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(lambda m: ((fast(m, jnp.asarray(stack)) - w) ** 2).sum()))
        loss, gradient = jax.tree.map(np.asarray, both(model))
    expected = sum(((implied_by_loop(model, s) - t) ** 2).sum() for s, t in zip(stack, w, strict=True))
    assert loss == pytest.approx(expected, rel=1e-11)
    for seed, name in itertools.product(range(2), ("value", "key", "query")):
        size = np.random.default_rng(seed).standard_normal(model.value.shape)
        along = jax.tree.map(np.zeros_like, model).replace(**{name: size})
        slope = directional(model, stack, w, along)
        assert (getattr(gradient, name) * size).sum() == pytest.approx(slope, rel=1e-9)
        assert abs(slope) > 1e-4


def test_lost_prompts() -> None:
    """Deep models: mean over the prompts below LOST, no trace of the others, even where they overflow."""
    model, stack, w = drawn(2, 3, 3, scale=0.7), moments(3, 3, 5), np.random.default_rng(4).standard_normal((5, 2))
    stack[1], stack[4] = 1e9 * stack[1], 1e60 * stack[4]
    covariance = np.diag([2.0, 0.5])
    assert np.isfinite(implied_by_loop(model, stack[1])).all()
    assert ((implied_by_loop(model, stack[1]) - w[1]) ** 2).sum() > OVERFLOW_LOSS
    with jax.enable_x64(True):
        both = jax.value_and_grad(lambda m, s, t: _loss_without_lost_prompts(m, s, t, covariance))
        loss, gradient = jax.tree.map(np.asarray, jax.jit(both)(model, stack, w))
    root, kept = np.sqrt(covariance), [0, 2, 3]
    misses = [root @ (implied_by_loop(model, stack[i]) - w[i]) for i in kept]
    assert loss == pytest.approx(np.mean([miss @ miss for miss in misses]), rel=1e-11)
    along = jax.tree.map(lambda a: np.random.default_rng(5).standard_normal(a.shape), model)
    moved = jax.tree.map(lambda a, b: a + 1e-30j * b, model, along)
    slope = np.mean([((root @ (implied_by_loop(moved, stack[i]) - w[i])) ** 2).sum().imag for i in kept]) / 1e-30
    total = sum((g * a).sum() for g, a in zip(jax.tree.leaves(gradient), jax.tree.leaves(along), strict=True))
    assert total == pytest.approx(slope, rel=1e-9)


HERMITE = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)]), np.array([1, 4, 1]) / 6
LEGENDRE = np.array([-np.sqrt(9 / 5), 0.0, np.sqrt(9 / 5)]), np.array([5, 8, 5]) / 18
"""Nodes and weights for N(0, 1) and for a uniform law of unit variance, exact up to degree 5."""


def grid(*rules: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    nodes = np.array(list(itertools.product(*(nodes for nodes, _ in rules))))
    return nodes, np.array([np.prod(p) for p in itertools.product(*(model for _, model in rules))])


def risk_by_quadrature(model: Model, task: Any, shots: int, sign: float) -> float:
    """E (p - w)ᵀ Λ (p - w) at one layer from single tokens and pairs of them, d_x = 2; moments by product rules."""
    if isinstance(task, it.SparseLinearRegression) and task.nonzero == 1:  # one entry, of variance 2
        z, p = HERMITE
        vectors = np.concatenate([np.outer(np.sqrt(2) * z, e) for e in np.eye(2)])
        chances = np.tile(p / 2, 2)
    else:
        z, chances = grid(HERMITE, HERMITE)
        vectors = z @ np.linalg.cholesky(task.task_covariance).T
    law = LEGENDRE if task.inputs == Uniform() else HERMITE
    points, given = grid(law, law, HERMITE)
    explicit, total = model.without_mlp().with_heads(), 0.0
    for w, chance in zip(vectors, chances, strict=True):
        x = points[:, :2] @ task.input_root
        tokens = np.column_stack([x, x @ w + task.noise_std * points[:, 2]])
        one = np.zeros((len(tokens), 2))
        for value, key, query in zip(explicit.value[0], explicit.key[0], explicit.query[0], strict=True):
            one += sign * (tokens @ value[-1])[:, None] * (tokens @ key.T @ query)[:, :2]
        mean = given @ one
        second = given @ np.einsum("ni,ij,nj->n", one, task.covariance, one)
        square = second / shots + (1 - 1 / shots) * mean @ task.covariance @ mean
        total += chance * (square - 2 * mean @ task.covariance @ w + w @ task.covariance @ w)
    return float(total)


@pytest.mark.parametrize("readout", ["minus", "plus"])
@pytest.mark.parametrize(("heads", "hidden"), [(None, 0), (1, 0), (3, 5)])
@pytest.mark.parametrize("law", ["gaussian", "uniform", "sparse", "sparse, uniform", "sparse, both"])
def test_exact_risk(law: str, heads: int | None, hidden: int, readout: str) -> None:
    """Correlated inputs and tasks, label noise, several heads: the polynomial is integrated exactly, no sample."""
    inputs = Uniform() if "uniform" in law else Gaussian()
    dense = it.LinearRegression(2, MIX, MIX @ MIX, noise_std=0.6, inputs=inputs)
    sparse = it.SparseLinearRegression(2, MIX, noise_std=0.6, inputs=inputs, nonzero=2 if "both" in law else 1)
    task, model = sparse if "sparse" in law else dense, drawn(6, 1, 3, heads, hidden, scale=1.5)
    for shots in (1, 2, 7):
        expected = risk_by_quadrature(model, task, shots, -1.0 if readout == "minus" else 1.0)
        assert one_layer_risk(model.replace(readout=readout), task, shots) == pytest.approx(expected, rel=1e-12)
        assert it.population_risk(model.replace(readout=readout), task, shots=shots).value == pytest.approx(expected)


@pytest.mark.parametrize("readout", ["minus", "plus"])
@pytest.mark.parametrize(
    ("task", "layers", "named"),
    [
        (it.LinearRegression(2, MIX, noise_std=0.5, inputs=Uniform()), 2, {}),
        (it.LinearRegression(2, MIX, noise_std=0.5), 2, {"kind": "softmax", "mask": "causal"}),
        (it.VectorRegression(2, 2, noise_std=0.5), 2, {}),
    ],
    ids=["uniform inputs", "softmax", "two outputs"],
)
def test_sampled_losses(task: Any, layers: int, named: dict, readout: str) -> None:
    """The same prompts, drawn again from the key, one token at a time."""
    model, outputs = drawn(8, layers, 2 + task.outputs), task.outputs
    risk, losses = risk_and_losses(model.replace(readout=readout, **named), task, shots=3, samples=6, key=5)
    rng = np.random.default_rng(5)
    prompt = task.sample_prompts(rng, task.sample_tasks(rng, 6), 3)
    expected = []
    for tokens, query, truth in zip(prompt.tokens(), prompt.x_query, prompt.y_query, strict=True):
        slots = forward_by_token(model, tokens, np.append(query, np.zeros(outputs)), **named)[1][-outputs:]
        expected.append((((slots if readout == "plus" else -slots) - truth) ** 2).sum())
    assert_close(losses, np.array(expected), 1e-10)
    assert risk.value == pytest.approx(np.mean(expected), rel=1e-10)


@pytest.mark.parametrize(("dimension", "count"), [(4, 2), (4, 3), (5, 3), (5, 4), (1, 2), (2, 9)], ids=lambda n: str(n))
@pytest.mark.parametrize("heads", [None, 2])
def test_noise_methods(dimension: int, count: int, heads: int | None) -> None:
    """D(D+1)/2 = 10 and 15 against 4N = 8, 12, 12 and 16; one input and no label is D = 1."""
    model, tokens = drawn(3, 2, dimension, heads), np.random.default_rng(9).standard_normal((count, dimension))
    rank = min(count - 1, dimension * (dimension + 1) // 2)
    for layer, shots in itertools.product(range(2), range(1, count)):
        noise = it.gradient_noise(model, tokens, shots=shots, layer=layer)
        assert (noise.coordinates is None) == (dimension * (dimension + 1) // 2 > 4 * count)
        expected = nonzero_spectrum(gradients(model, tokens, layer), shots, rank)
        assert noise.rank == rank
        assert_close(noise.spectrum, expected, 1e-8)
        assert noise.trace == pytest.approx(expected.sum(), rel=1e-10)
        assert noise.log_pseudo_determinant == pytest.approx(np.log(expected).sum(), abs=1e-7)
    silent = it.gradient_noise(model, tokens, shots=count)  # N = b: nothing is left out
    assert (silent.rank, silent.trace, silent.spectrum.size) == (0, 0.0, 0)


@pytest.mark.parametrize("count", [6, 7, 8])
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("module", ["value", "key", "query"])
def test_truncated_noise_methods(module: Matrix, layer: int, count: int) -> None:
    """d_S = 6 at D = 3: N - 1 = 5 goes through Gram matrices, N - 1 = 6 through nested features; both by definition."""
    model = drawn(3, 2, 3)
    eye = 0.8 * np.eye(3)  # well conditioned, so that the spectrum can be trusted
    model = Model.create(model.value + eye, model.key + eye, model.query + eye)
    tokens = 0.7 * np.random.default_rng(10).standard_normal((count, 3))
    found = it.truncation_noise(model, tokens, shots=2, module=module, layer=layer)
    assert (found.spectra is None) == (count > 6)
    for i, rank in enumerate((1, 2, 3)):
        cut = it.truncate_weights(model, layer=layer, module=module, rank=rank)
        per_token = gradients(cut, tokens, layer)
        size = min(count - 1, rank * 3 - rank * (rank - 1) // 2)
        expected = nonzero_spectrum(per_token, 2, size)
        assert found.dimension[i] == size
        assert found.trace[i] == pytest.approx(expected.sum(), rel=1e-10)
        assert found.log_pseudo_determinant[i] == pytest.approx(np.log(expected).sum(), abs=1e-7)
