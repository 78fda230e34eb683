"""Small cases done by hand, odd shapes, several heads at the start of training, and options whose meaning is exact."""

import itertools
import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from helpers import assert_close, assert_mean, forward_by_token, random_matrices

import icl_theory as it
from icl_theory.information.ladder.individual_sample import nested
from icl_theory.information.ladder.shared_subsets import _shift
from icl_theory.models.model import Model
from icl_theory.tasks.laws import Uniform
from icl_theory.training.config import CheckedConfig
from icl_theory.training.ensemble import batch_loss, initial_weights
from icl_theory.training.prompt_sources import MomentSource, TokenMomentSource, moments_of
from icl_theory.truncation.conditioning import condition_number, module_condition_number
from icl_theory.truncation.module_truncation import module_rank

MIX = np.array([[1.0, 0.3], [0.3, 0.7]])
TASK = it.LinearRegression(2, MIX, noise_std=0.5)


def drawn(seed: int, layers: int, dimension: int = 3, hidden: int = 0) -> Model:
    rng = np.random.default_rng(seed)
    mlp = (rng.standard_normal((layers, hidden, dimension)), rng.standard_normal((layers, dimension, hidden)))
    return Model.create(*random_matrices(rng, layers, dimension), *(mlp if hidden else ()))


class Table:
    """A channel whose log densities stand in a table."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    @property
    def samples(self) -> int:
        """K."""
        return len(self.table)

    def log_density(self, rows: slice) -> np.ndarray:
        """A copy of those rows."""
        return self.table[rows].copy()


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("rows", [1, 2, 99])
def test_nested_means_by_hand(count: int, rows: int) -> None:
    """log of a mean over K and of one over K - 1, every sum written out; K = 2 leaves one other run."""
    rng = np.random.default_rng(count)
    exchanged, first, second = rng.standard_normal((3, count, count))
    found, influence = nested([Table(first), Table(second)], Table(exchanged), block_entries=32 * count * rows)
    terms, shares = [], [0.0] * count
    for i in range(count):
        inner = [math.exp(exchanged[i, j]) for j in range(count)]
        outer = [0.0 if j == i else math.exp(first[i, j] + second[i, j]) for j in range(count)]
        terms.append(math.log(sum(inner) / count) - math.log(sum(outer) / (count - 1)))
        for j in range(count):
            shares[j] += inner[j] / sum(inner) - outer[j] / sum(outer)
    assert found.value == pytest.approx(np.mean(terms), rel=1e-12)
    assert found.samples == count
    # What a run adds: its own term, and its weight in the mixtures of all runs, whose sum over the runs is 0.
    assert_close(influence, np.array(terms) + np.array(shares), 1e-12)
    assert found.stderr == pytest.approx(np.std(influence, ddof=1) / math.sqrt(count), rel=1e-12)


@pytest.mark.parametrize("count", [2, 3, 20])
def test_shift(count: int) -> None:
    """|E d|² without bias is Σ_{i≠j} d_i · d_j / (K(K-1)); over the spread Σ |f - f̄|² / (K-1)."""
    shared, fresh = np.random.default_rng(count).standard_normal((2, count, 2, 2))
    d = (shared - fresh).reshape(count, -1)
    pairs = sum(d[i] @ d[j] for i, j in itertools.permutations(range(count), 2)) / (count * (count - 1))
    spread = sum(((f - fresh.mean(0)) ** 2).sum() for f in fresh) / (count - 1)
    assert _shift(shared, fresh).value == pytest.approx(pairs / spread, rel=1e-10)


def test_zero_shift() -> None:
    """Shift without any is zero on average."""
    rng, values, biased = np.random.default_rng(0), [], []
    for _ in range(2000):
        shared, fresh = rng.standard_normal((2, 10, 2, 2))
        spread = ((fresh - fresh.mean(0)) ** 2).sum() / 9
        values.append(_shift(shared, fresh).value * spread)  # the spread is common to numerator and bias
        biased.append(((shared - fresh).mean(0) ** 2).sum())
    assert_mean(values, 0.0)
    with pytest.raises(AssertionError):
        assert_mean(biased, 0.0)


@pytest.mark.parametrize("readout", ["minus", "plus"])
@pytest.mark.parametrize(("heads", "outputs"), [(1, 1), (2, 1), (3, 2)])
def test_initial_weights(heads: int, outputs: int, readout: Any) -> None:
    """Every head compares by a² I; together they read labels as ∓a, each with noise of deviation a/(√D heads)."""
    size, dimension, seeds, layers = 0.3, 5, 400, 2
    config = CheckedConfig(
        layers=layers,
        shots=7,
        steps=1,
        seeds=seeds,
        batch=1,
        learning_rate=0.1,
        init_scale=size,
        readout=readout,
        heads=heads,
    )
    model = initial_weights(np.random.default_rng(0), config, dimension, outputs).with_heads()
    assert model.value.shape == model.key.shape == (seeds, layers, heads, dimension, dimension)
    assert model.value.dtype == model.key.dtype == np.float32
    value, key, query = (np.asarray(m, np.float64) for m in (model.value, model.key, model.query))
    identity = np.broadcast_to(np.eye(dimension), key.shape)
    np.testing.assert_allclose(key.swapaxes(-1, -2) @ query, size**2 * identity, atol=1e-6)
    label = (-size if readout == "minus" else size) * np.eye(outputs)
    block = value[..., -outputs:, -outputs:]
    np.testing.assert_allclose(block.sum(2), np.broadcast_to(label, (seeds, layers, outputs, outputs)), atol=1e-6)
    np.testing.assert_allclose(block, np.broadcast_to(label / heads, block.shape), atol=1e-6)
    noise = value[..., 0, :]
    assert_mean(noise, 0.0)
    assert_mean((noise**2).mean((1, 2, 3)), (size / heads) ** 2 / dimension)
    assert_mean(key**2, size**2 / dimension)
    turned = key - key.mean(0)  # the signs of its columns are LAPACK's, so that its mean is not quite 0
    for random in (noise, turned):
        assert_mean(random[:, 0] * random[:, 1], 0.0)  # layers are independent,
        for one, other in itertools.combinations(range(heads), 2):
            assert_mean(random[:, :, one] * random[:, :, other], 0.0)  # and so are heads


@pytest.mark.parametrize(("hidden", "activation"), [(3, "identity"), (7, "identity"), (7, "relu")])
def test_initial_mlp(hidden: int, activation: Any) -> None:
    """W_out W_in is the projection on min(hidden, D) directions; twice that for ReLU, which passes half."""
    config = CheckedConfig(
        layers=2,
        shots=7,
        steps=1,
        seeds=50,
        batch=1,
        learning_rate=0.1,
        init_scale=0.3,
        hidden=hidden,
        activation=activation,
    )
    model = initial_weights(np.random.default_rng(0), config, 5)
    product = np.asarray(model.mlp_out, np.float64) @ model.mlp_in / (2 if activation == "relu" else 1)
    assert model.mlp_in.shape == (50, 2, hidden, 5)
    np.testing.assert_allclose(product @ product, product, atol=1e-5)
    np.testing.assert_allclose(product, product.swapaxes(-1, -2), atol=1e-6)
    np.testing.assert_allclose(np.trace(product, axis1=-2, axis2=-1), min(hidden, 5), atol=1e-4)


def negative(model: Model) -> Model:
    return model.replace(value=-model.value)


LADDER: dict[str, Any] = {"demonstrations": 9, "shots": 3, "clip": 2.0, "samples": 20, "key": 1}
SUPERSAMPLE: dict[str, Any] = {"demonstrations": 3, "supersamples": 4, "loss": "clipped_squared", "key": 1}
READERS = {
    "risk": lambda m, r: it.population_risk(m.replace(readout=r), TASK, shots=4).value,
    "risk of softmax": lambda m, r: (
        it.population_risk(m.replace(kind="softmax", readout=r), TASK, shots=4, samples=20).value
    ),
    "accuracy": lambda m, r: it.accuracy(m.replace(readout=r), it.LinearClassification(2), shots=4, samples=400).value,
    "supersample": lambda m, r: it.supersample_bounds(m.replace(readout=r), TASK, **SUPERSAMPLE).pointwise["gap"],
    "supersample of softmax": lambda m, r: it.supersample_bounds(
        m.replace(kind="softmax", readout=r), TASK, **SUPERSAMPLE
    ).pointwise["gap"],
    "ladder": lambda m, r: it.bound_ladder(m.replace(readout=r), TASK, **LADDER).terms["gap"],
    "ladder of the sign": lambda m, r: it.bound_ladder(m.replace(readout=r), TASK, loss="zero_one", **LADDER).terms[
        "gap"
    ],
    "one subset": lambda m, r: [
        getattr(it.shared_subsets(m.replace(readout=r), TASK, **LADDER), name).value
        for name in ("gap", "subset_gap", "fresh_gap")
    ],
    "sweep": lambda m, r: [
        [entry[name]["value"] for name in ("gap", "population_loss", "population_risk")]
        for entry in it.rank_sweep(m.replace(readout=r), TASK, ranks=[1], **LADDER)
    ],
    "search": lambda m, r: (
        it.search_clipping_rate(m.replace(readout=r), TASK, shots=4, top=1, prompts=9).test_loss.value
    ),
    "agreement": lambda m, r: it.gradient_descent_agreement(m.replace(readout=r), TASK, shots=4, prompts=9).step_size,
}


@pytest.mark.parametrize("name", READERS)
def test_plus_reads_minus(name: str) -> None:
    """Wherever a readout can be chosen it changes the sign of p, and nothing is left at its default on the way."""
    model, read = drawn(4, 1), READERS[name]
    plus, same, minus = read(model, "plus"), read(negative(model), "minus"), read(model, "minus")
    np.testing.assert_allclose(plus, same, rtol=1e-9, atol=1e-12)
    assert np.abs(np.subtract(plus, minus)).max() > 1e-3


def test_sum_is_a_mean() -> None:
    """Linear attention divides by N or does not: trajectory and predictions of two layers."""
    model, tokens = drawn(5, 2), np.random.default_rng(1).standard_normal((3, 3))
    more = model.replace(value=3 * model.value)
    path, other = (
        it.implicit_trajectory(model.replace(normalization="sum"), tokens),
        it.implicit_trajectory(more, tokens),
    )
    for name in ("delta", "gradient", "accumulated"):
        assert_close(getattr(path, name), getattr(other, name))
    prompt = TASK.sample(0, 5, 3)
    assert_close(it.predict(model.replace(normalization="sum"), prompt), it.predict(more, prompt))


@pytest.mark.parametrize(
    ("kind", "mask"), [("linear", "demonstrations"), ("softmax", "causal"), ("softmax", "demonstrations")]
)
def test_wide_mlp(kind: str, mask: str) -> None:
    """N = 1, d_x = 1, one prompt: the smallest prediction there is, with more hidden units than entries."""
    model, prompt = drawn(6, 2, 2, hidden=5), it.LinearRegression(1, noise_std=0.5).sample(3, 1, 1)
    named: dict[str, Any] = {"kind": kind, "mask": mask, "activation": "relu"}
    query = np.append(prompt.x_query[0], 0.0)
    expected = forward_by_token(model, prompt.tokens()[0], query, **named)[1]
    assert_close(it.predict(model.replace(**named), prompt), -expected[-1:])
    assert np.abs(expected - query).max() > 1e-3


def test_baselines_by_hand() -> None:
    """Baselines of one demonstration of one input."""
    prompt = it.LinearRegression(1, noise_std=0.5).sample(3, 1, 1)
    x, y, query = float(prompt.x[0, 0, 0]), float(prompt.y[0, 0]), float(prompt.x_query[0, 0])
    assert_close(it.least_squares_predict(prompt), np.array([y / x * query]))
    assert_close(it.ridge_predict(prompt, 0.3), np.array([x * y / (x * x + 0.3) * query]))
    doubled = replace(prompt, y=np.repeat(prompt.y[..., None], 2, axis=2) * np.array([1.0, -2.0]))
    assert_close(it.ridge_predict(doubled, 0.3), x * y / (x * x + 0.3) * query * np.array([[1.0, -2.0]]))


@pytest.mark.parametrize("hidden", [2, 7])
def test_mlp_shapes(hidden: int) -> None:
    """W_in (hidden, 4) and W_out (4, hidden) lose rank each on its own; other layers and matrices lose nothing."""
    model, side, worst = drawn(11, 2, 4, hidden=hidden), min(hidden, 4), 0.0
    assert (module_rank(model, "mlp"), module_rank(model, "all"), module_rank(model, "key")) == (side, side, 4)
    for rank in range(side + 1):
        cut = it.truncate_weights(model, layer=1, module="mlp", rank=rank)
        np.testing.assert_array_equal(cut.value, model.value)
        for name in ("mlp_in", "mlp_out"):
            before, after = getattr(model, name), getattr(cut, name)
            np.testing.assert_array_equal(after[0], before[0])
            values, vectors = np.linalg.eigh(before[1] @ before[1].T)  # the best cut projects on the largest of them
            kept = vectors[:, len(vectors) - rank :]
            assert_close(after[1], kept @ kept.T @ before[1], 1e-10)
            largest = values[::-1][:side]
            assert condition_number(before[1]) == pytest.approx(np.sqrt(largest[0] / largest[-1]), rel=1e-10)
            worst = max(worst, condition_number(before[1]))
    assert module_condition_number(model, 1, "mlp") == pytest.approx(worst)


def test_training_prompts() -> None:
    """Noise-free S is that of inputs of the promised law with labels w · x, w of the promised law."""
    root, rng = np.linalg.inv(it.LinearRegression(2, MIX).input_root), np.random.default_rng(0)
    one = TokenMomentSource(it.LinearRegression(2, MIX, inputs=Uniform()), 1).draw(rng, (3, 4, 50))
    s, w = one["moments"].reshape(-1, 3, 3).astype(np.float64), one["w"].reshape(-1, 2).astype(np.float64)
    np.testing.assert_allclose(s[:, :2, 2], np.einsum("nij,nj->ni", s[:, :2, :2], w), atol=1e-5)
    squares = np.einsum("ij,njk,kl->nil", root, s[:, :2, :2], root)[:, [0, 1], [0, 1]]  # u_i² of the only token
    assert 2.9 < squares.max() < 3 + 1e-4
    two = TokenMomentSource(it.LinearRegression(2, MIX, inputs=Uniform()), 2).draw(rng, (4000,))["moments"]
    mean = two[:, :2, :2].astype(np.float64).mean(0)
    assert np.abs(mean - MIX).max() < 6 * two[:, :2, :2].std(0).max() / np.sqrt(4000)
    task = it.SparseLinearRegression(4, nonzero=1)
    draw = MomentSource(task, 3).draw(rng, (50,))
    assert ((draw["w"] != 0).sum(-1) == 1).all()
    found = np.asarray(moments_of(draw, np.float32(task.input_root), np.float32(0), 3))
    np.testing.assert_allclose(found[:, :4, 4], np.einsum("nij,nj->ni", found[:, :4, :4], draw["w"]), atol=1e-4)


def test_vector_labels() -> None:
    """|ŷ - y_q|², the mean over prompts alone; the forward pass in a loop over tokens."""
    rng = np.random.default_rng(4)
    model = Model.create(*random_matrices(rng, 1, 5))
    x, y = rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 4, 3))
    draw = {"x": x, "y": y, "x_query": rng.standard_normal((3, 2)), "y_query": rng.standard_normal((3, 3))}
    expected = []
    for tokens, query, label in zip(np.concatenate([x, y], 2), draw["x_query"], draw["y_query"], strict=True):
        guess = -forward_by_token(model, tokens, np.append(query, np.zeros(3)))[1][2:]
        expected.append(((guess - label) ** 2).sum())
    model, draw = jax.tree.map(np.float32, (model, draw))
    assert float(batch_loss(model, draw, (None, None, 0.0, 4))) == pytest.approx(np.mean(expected), rel=2e-5)
