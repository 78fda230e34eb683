"""One trained model of every kind, and every public function that takes a model: the right answer, or an error.

The right answer is that of whole prompts drawn here and sent through a loop over tokens, which reads the static fields
of the model and nothing else.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import forward_by_token

import icl_theory as it
from icl_theory.models.model import Model

TASK = it.LinearRegression(2, noise_std=0.3)
SIGNS = it.LinearClassification(2)
SHOTS = 4
TOKENS = np.random.default_rng(0).standard_normal((6, 3))
KINDS = [
    {"kind": kind, "mask": mask, "activation": activation, "readout": readout}
    for kind, mask, activation, readout in itertools.product(
        ("linear", "softmax"), ("demonstrations", "causal"), ("identity", "relu"), ("minus", "plus")
    )
]
WITH_QUERY = [
    {"kind": kind, "mask": mask, "activation": activation, "readout": readout}
    for kind, mask, activation, readout in (
        ("linear", "decoder", "identity", "minus"),
        ("softmax", "decoder", "relu", "plus"),
        ("linear", "all", "relu", "plus"),
        ("softmax", "all", "identity", "minus"),
    )
]
CELLS = [(kind, "mean") for kind in (*KINDS, *WITH_QUERY)] + [(kind, "sum") for kind in (*KINDS[:3], KINDS[12])]


@pytest.fixture(scope="module", params=CELLS, ids=lambda c: "-".join([*c[0].values(), c[1]]))
def model(request: pytest.FixtureRequest) -> Model:
    """Two layers with an MLP, trained for a few steps, so that no matrix of it is special."""
    kind, normalization = request.param
    result = it.train(TASK, 1, layers=2, shots=SHOTS, steps=6, seeds=1, batch=8, hidden=3, **kind)
    trained = result.models.member(0)
    assert {name: getattr(trained, name) for name in kind} == kind
    if normalization == "sum":
        return trained.replace(normalization="sum", value=trained.value / SHOTS)
    return trained


def predictions(model: Model, task: Any, key: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """ŷ and y_q of prompts drawn here, one token at a time."""
    prompt = task.sample(key, count, SHOTS)
    queries = np.column_stack([prompt.x_query, np.zeros(count)])
    slots = [
        forward_by_token(model, tokens, query)[1][-1] for tokens, query in zip(prompt.tokens(), queries, strict=True)
    ]
    return np.array(slots) * (1 if model.readout == "plus" else -1), prompt.y_query


def plain(model: Model) -> bool:
    """Whether linear theory covers the model: linear attention over all demonstrations and no ReLU."""
    return (model.kind, model.mask, model.activation) == ("linear", "demonstrations", "identity")


def agrees(value: float, error: float, samples: np.ndarray) -> None:
    assert abs(value - samples.mean()) <= 6 * np.hypot(error, samples.std(ddof=1) / np.sqrt(len(samples)))


def test_forward_and_predict(model: Model) -> None:
    query = np.array([0.5, -1.0, 0.0])
    np.testing.assert_allclose(it.forward(model, TOKENS, query), forward_by_token(model, TOKENS, query)[1], rtol=1e-9)
    prompt = TASK.sample(3, 5, SHOTS)
    np.testing.assert_allclose(it.predict(model, prompt), predictions(model, TASK, 3, 5)[0], rtol=1e-9)


def test_the_flax_module(model: Model) -> None:
    prompt = TASK.sample(3, 5, SHOTS)
    module = it.InContextTransformer(model)
    got = module(*(np.float32(a) for a in (prompt.x, prompt.y, prompt.x_query)))
    np.testing.assert_allclose(got, it.predict(model, prompt), rtol=2e-3, atol=1e-4)
    assert module.model.options == model.options


def test_the_population_risk(model: Model) -> None:
    guesses, labels = predictions(model, TASK, 11, 250)
    found = it.population_risk(model, TASK, shots=SHOTS, samples=2000, key=5)
    assert found.direction == "unbiased"
    agrees(found.value, found.stderr, (guesses - labels) ** 2)


def test_the_accuracy(model: Model) -> None:
    guesses, labels = predictions(model, SIGNS, 12, 250)
    found = it.accuracy(model, SIGNS, shots=SHOTS, samples=2000, key=5)
    agrees(found.value, found.stderr, np.where(guesses >= 0, 1.0, -1.0) == labels)


def test_supersample_gap(model: Model) -> None:
    """The loss on fresh tokens after N demonstrations of one task, by the loop."""
    w = np.array([0.8, -0.5])
    found = it.supersample_bounds(
        model, TASK, demonstrations=SHOTS, supersamples=300, key=2, loss="clipped_squared", clip=4.0, task_vector=w
    )
    tokens = TASK.sample_tokens(np.random.default_rng(3), np.repeat(w[None], 250, axis=0), SHOTS + 1)
    sign = 1 if model.readout == "plus" else -1
    guesses = [sign * forward_by_token(model, run[:-1], np.append(run[-1, :-1], 0.0))[1][-1] for run in tokens]
    losses = np.minimum((np.array(guesses) - tokens[:, -1, -1]) ** 2, 4.0)
    agrees(found.population_loss.value, found.population_loss.stderr, losses)


def test_clipping_search(model: Model) -> None:
    """The clipping search measures the model."""
    found = it.search_clipping_rate(model, TASK, shots=SHOTS, module="value", rates=(0.0, 0.5), prompts=500, key=4)
    guesses, labels = predictions(model, TASK, 13, 250)
    agrees(found.test_loss.value, found.test_loss.stderr, (guesses - labels) ** 2)
    assert found.chosen.model.options == model.options


LADDER: dict[str, Any] = {"demonstrations": 9, "shots": 3, "clip": 4.0, "samples": 32, "key": 1}
THEORY: dict[str, Callable[[Model], Any]] = {
    "implicit_trajectory": lambda m: it.implicit_trajectory(m, TOKENS),
    "gradient_noise": lambda m: it.gradient_noise(m, TOKENS, shots=3),
    "normality_audit": lambda m: it.normality_audit(m, TOKENS, shots=(2,), samples=60),
    "bound_ladder": lambda m: it.bound_ladder(m, TASK, **LADDER),
    "average_ladder": lambda m: it.average_ladder(m, TASK, tasks=2, **LADDER),
    "high_probability_bound": lambda m: it.high_probability_bound(m, TASK, **LADDER),
    "forward_pass_bounds": lambda m: it.forward_pass_bounds(m, TASK, **LADDER),
    "one_layer_gap": lambda m: it.one_layer_gap(m.first_layers(1), TASK, shots=4, task_vector=np.ones(TASK.dim)),
    "shared_subsets": lambda m: it.shared_subsets(m, TASK, **LADDER),
    "rank_sweep": lambda m: it.rank_sweep(m, TASK, ranks=[2], layer_indices=[0], tasks=1, **LADDER),
    "gradient_descent_agreement": lambda m: it.gradient_descent_agreement(m, TASK, shots=SHOTS, prompts=20),
}
SUMS = ("implicit_trajectory", "gradient_descent_agreement")
"""Those that know what a sum over demonstrations is."""
BEHIND_RELUS = ("bound_ladder", "average_ladder", "rank_sweep")
"""Those that take the updates of the attention for what a ReLU MLP is a function of."""


@pytest.mark.parametrize("name", THEORY)
def test_uncovered_kinds(model: Model, name: str) -> None:
    """Theory raises an error for what it does not cover."""
    bare = model.replace(mlp_in=None, mlp_out=None, activation="identity") if name in BEHIND_RELUS else model
    covered = plain(bare) and (model.normalization == "mean" or name in SUMS)
    if covered:
        THEORY[name](model)
        return
    with pytest.raises(ValueError, match=r"^model for .*: got .*, expected .*; .*\.$"):
        THEORY[name](model)


def test_truncation_noise(model: Model) -> None:
    """`truncation_noise` rejects an MLP and other kinds."""
    with pytest.raises(ValueError, match="model"):
        it.truncation_noise(model, TOKENS, shots=3, module="value")
    bare = model.replace(mlp_in=None, mlp_out=None, activation="identity")
    if plain(bare) and bare.normalization == "mean":
        it.truncation_noise(bare, TOKENS, shots=3, module="value")
    else:
        with pytest.raises(ValueError, match="model for the noise at every rank"):
            it.truncation_noise(bare, TOKENS, shots=3, module="value")


def test_trajectory(model: Model) -> None:
    """The trajectory is that of the forward pass."""
    if not plain(model):
        return  # an error, see above
    query = np.array([0.5, -1.0, 0.0])
    moved = query + it.implicit_trajectory(model, TOKENS).accumulated[-1] @ query
    np.testing.assert_allclose(moved, forward_by_token(model, TOKENS, query)[1], rtol=1e-9)


def test_truncation(model: Model) -> None:
    """Truncation keeps what the model is."""
    cut = it.truncate_weights(model, layer=1, module="all", rank=1)
    assert (cut.options, cut.heads, cut.layers) == (model.options, model.heads, model.layers)
    assert np.linalg.matrix_rank(cut.value[1]) == 1


def test_saving(model: Model, tmp_path: Any) -> None:
    """Saving and loading keep it."""
    again = it.load_model(it.save_model(tmp_path / "model.npz", model))
    assert again.options == model.options
    prompt = TASK.sample(3, 2, SHOTS)
    np.testing.assert_array_equal(it.predict(again, prompt), it.predict(model, prompt))
