"""Which models get a closed form: none that the formula does not cover, and every option reaches the forward pass."""

import numpy as np
import pytest
from helpers import error_message, forward_by_token

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Model,
    OneHotClassification,
    accuracy,
    least_squares_risk,
    population_risk,
    random_weights,
)
from icl_theory.risk.one_layer import exact_risk
from icl_theory.tasks.laws import Uniform

RNG = np.random.default_rng(7)


def with_mlp(layers: int = 1) -> Model:
    loose = random_weights(4, layers=layers, token_dim=3, scale=1.2)
    inner, outer = RNG.standard_normal((layers, 5, 3)), RNG.standard_normal((layers, 3, 5))
    return Model.create(loose.value, loose.key, loose.query, 0.6 * inner, 0.6 * outer)


def guesses_of(model, task, samples, shots, **options):
    """ŷ and y_q of the prompts that one block of generator 5 draws, every token in a loop."""
    rng = np.random.default_rng(5)
    prompt = task.sample_prompts(rng, task.sample_tasks(rng, samples), shots)
    sign = 1.0 if options.pop("readout", "minus") == "plus" else -1.0
    queries = [np.append(x, 0.0) for x in prompt.x_query]
    outputs = [
        forward_by_token(model, tokens, query, **options)[1][-1]
        for tokens, query in zip(prompt.tokens(), queries, strict=True)
    ]
    return sign * np.array(outputs), prompt.y_query


def test_relu():
    """The same weights: exact with the activation dropped, sampled with it, and not the same number."""
    model, task = with_mlp(), LinearRegression(2, noise_std=0.4)
    exact = population_risk(model, task, shots=3)
    found = population_risk(model.replace(activation="relu"), task, shots=3, samples=40, key=5)
    assert (exact.direction, found.direction) == ("exact", "unbiased")
    guesses, labels = guesses_of(model, task, 40, 3, activation="relu")
    assert found.value == pytest.approx(((guesses - labels) ** 2).mean(), rel=1e-10)


OPTIONS = [
    {},
    {"readout": "plus"},
    {"mask": "causal"},
    {"kind": "softmax"},
    {"activation": "relu"},
    {"kind": "softmax", "mask": "causal", "readout": "plus", "activation": "relu"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_accuracy_options(options):
    """Accuracy takes every option."""
    model, task = with_mlp(2), LinearClassification(2)
    found = accuracy(model.replace(**options), task, shots=4, samples=60, key=5)
    guesses, labels = guesses_of(model, task, 60, 4, **options)
    right = np.sign(guesses) == labels
    assert found.value == pytest.approx(right.mean(), rel=1e-12)
    others = [guesses_of(model, task, 60, 4, **other)[0] for other in OPTIONS if other != options]
    assert all(((np.sign(other) == labels) != right).any() for other in others)  # or an option could be ignored


@pytest.mark.parametrize("block", ["labels from inputs", "scores from labels", "labels mixed"])
def test_labels_alone(block):
    """One-hot labels: c Π in W_V's label block and inputs compared with inputs; anything more is sampled."""
    task = OneHotClassification(2, 3)
    rng = np.random.default_rng(1)
    value, query = np.zeros((1, 5, 5)), np.zeros((1, 5, 5))
    value[0, 2:, 2:] = -0.4 * task.label_projection
    query[0, :2, :2] = rng.standard_normal((2, 2))
    query[0, :2, 2:] = rng.standard_normal((2, 3))  # for a query without labels, this is never read
    pure = Model.create(value, np.eye(5)[None], query)
    assert exact_risk(pure, task, 6) is not None
    assert population_risk(pure, task, shots=6).direction == "exact"
    if block == "labels from inputs":
        value[0, 3, 1] = 1e-3
    elif block == "scores from labels":
        query[0, 3, 1] = 1e-3
    else:
        value[0, 3, 4] += 1e-3
    assert exact_risk(Model.create(value, np.eye(5)[None], query), task, 6) is None


@pytest.mark.parametrize(("shots", "heavy"), [(1, True), (7, True), (8, False)])
def test_heavy_tail_note(shots, heavy):
    """Rank 4, uniform inputs with noise: the variance of (X X')⁻¹ is finite from |N - d| = 4 on."""
    task = LinearRegression(4, noise_std=0.5, inputs=Uniform())
    note = least_squares_risk(task, shots=shots, samples=16).note
    assert ("no guide" in note) == heavy


@pytest.mark.parametrize("size", [1e-10, 1e-6, 0.05])
def test_asymmetric_covariance(size):
    """A covariance that is not symmetric is an error."""
    assert "not symmetric" in error_message(LinearRegression, 2, np.array([[1.0, size], [0.0, 1.0]]))


def test_zero_is_no_size():
    """Zero is an error where a positive number is needed."""
    from icl_theory import bound_ladder, search_clipping_rate

    model, task = random_weights(1, layers=1, token_dim=3), LinearRegression(2)
    options = {"demonstrations": 12, "shots": 3, "samples": 16, "key": 0}
    assert "clip: got 0" in error_message(bound_ladder, model, task, clip=0.0, **options)
    assert "top: got 0" in error_message(search_clipping_rate, model, task, shots=3, top=0)
