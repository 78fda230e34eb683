"""Algorithm 1 against exact one-layer risks, a loop written by hand, and models where the answer is provable."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from helpers import assert_close, error_message

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Model,
    gradient_descent_weights,
    one_layer_optimum,
    population_risk,
    predict,
    random_weights,
    search_clipping_rate,
    truncate_weights,
)
from icl_theory.truncation.clipping_search import RATES, _ranks

SHOTS = 12


def damaged_optimum(damage: float = 0.3) -> tuple[LinearRegression, Model]:
    """Tasks live in three of five dimensions, and so does the optimum; two small directions of pure noise are added."""
    task = LinearRegression(5, task_covariance=np.diag([1.0, 1, 1, 0, 0]), noise_std=0.5)
    model, _ = one_layer_optimum(task, shots=SHOTS)
    query = np.array(model.query)
    query[0, 3, 3], query[0, 4, 4] = damage, -damage
    return task, model.replace(query=query)


def test_provable_gain():
    """Cutting the two noise directions gives back the optimum: the best rank is 3 and the gain is known exactly."""
    task, model = damaged_optimum()
    best = one_layer_optimum(task, shots=SHOTS)[1]
    gain = population_risk(model, task, shots=SHOTS).value - best
    found = search_clipping_rate(model, task, shots=SHOTS, module="query", top=1, prompts=20_000, key=1)
    assert found.chosen.rank == 3
    assert found.chosen.rate == pytest.approx(0.5)
    assert gain > 6 * found.chosen.test_gain.stderr
    assert abs(found.chosen.test_gain.value - gain) < 6 * found.chosen.test_gain.stderr
    assert population_risk(found.chosen.model, task, shots=SHOTS).value == pytest.approx(best, rel=1e-12)
    loss = found.test_loss
    assert abs(loss.value - population_risk(model, task, shots=SHOTS).value) < 6 * loss.stderr


@pytest.mark.parametrize("key", range(3))
def test_no_gain_at_optimum(key):
    """The exact risk of whatever was chosen is the optimum's or above; the test gain agrees with the difference."""
    task = LinearRegression(4, np.diag([1.0, 0.5, 0.2, 0.1]), noise_std=0.5)
    model, optimum = one_layer_optimum(task, shots=SHOTS)
    found = search_clipping_rate(model, task, shots=SHOTS, top=1, prompts=4000, key=key)
    for search in (found.chosen, found.in_metric):
        assert search is not None
        risk = population_risk(search.model, task, shots=SHOTS).value
        assert risk >= optimum - 1e-12
        assert abs(search.test_gain.value - (optimum - risk)) <= 6 * search.test_gain.stderr + 1e-12


def test_every_number_by_hand():
    """The whole search again: a loop over layers and ranks on the prompts that the key draws."""
    task = LinearRegression(3, noise_std=0.5)
    model = random_weights(5, layers=3, token_dim=4, scale=1.0)
    found = search_clipping_rate(model, task, shots=6, module="value", prompts=50, key=7)
    seeds = np.random.default_rng(7).integers(2**62, size=2)
    validation, test = (task.sample(int(seed), 50, 6) for seed in seeds)

    def losses(member, prompt):
        return (predict(member, prompt) - prompt.y_query) ** 2

    conditions = [np.linalg.cond(w) for w in model.value]
    assert found.condition_numbers == pytest.approx(conditions, rel=1e-9)
    assert found.top == tuple(np.argsort(conditions)[::-1][:2])
    assert found.chosen.layer == max(found.top)
    tests = []
    for layer in range(3):
        models = {r: truncate_weights(model, layer=layer, module="value", rank=r) for r in (4, 3, 2, 1)}
        gains = {r: (losses(model, validation) - losses(m, validation)).mean() for r, m in models.items()}
        gains[4] = 0.0
        best = max(gains, key=lambda r: gains[r])
        tests.append(losses(model, test) - losses(models[best], test) if best < 4 else np.zeros(50))
        if layer == found.chosen.layer:
            assert [e.value for e in found.chosen.validation] == pytest.approx(list(gains.values()), rel=1e-9)
            assert found.chosen.rank == best
            assert found.chosen.test_gain.value == pytest.approx(tests[-1].mean(), rel=1e-9)
            assert found.chosen.test_gain.stderr == pytest.approx(tests[-1].std(ddof=1) / np.sqrt(50), rel=1e-9)
            optimism = gains[best] - tests[-1].mean()
            assert found.chosen.optimism.value == pytest.approx(optimism, rel=1e-9)
    assert found.random_layer.value == pytest.approx(np.mean(tests), rel=1e-9)


def test_optimism():
    """The largest of several noisy numbers is too large: on ten prompts by a large part of a standard error."""
    task, model = LinearClassification(3), random_weights(3, layers=1, token_dim=4)
    optimism = [
        search_clipping_rate(model, task, shots=5, top=1, prompts=10, key=key, loss="zero_one").chosen.optimism.value
        for key in range(100)
    ]
    assert np.mean(optimism) > 3 * np.std(optimism, ddof=1) / np.sqrt(len(optimism))


def test_no_truncation_is_tried():
    """No truncation is among the candidates and gains exactly nothing."""
    task = LinearRegression(3)
    model = gradient_descent_weights(3, layers=2, step_size=0.5)
    found = search_clipping_rate(model, task, shots=8, prompts=20, rates=(0.5,))
    assert found.chosen.ranks == (4, 2)
    assert (found.chosen.validation[0].value, found.chosen.validation[0].stderr) == (0.0, 0.0)
    assert found.chosen.validation_gain.value >= 0
    again = search_clipping_rate(model, task, shots=8, prompts=20, rates=(0.5,))
    assert again.chosen.test_gain == found.chosen.test_gain
    # diag(0, -η) and diag(I, 0) are singular: equal condition numbers, and then the deeper layer is the choice.
    assert found.condition_numbers.tolist() == [np.inf, np.inf]
    assert found.top == (1, 0)


def test_metric_of_the_update():
    """Anisotropic inputs at rank 1: the plain cut keeps the smallest eigenvalue's direction, the metric the best.

    E S X S over Gaussian prompts is ((N+1)/N) Σ X Σ + tr(XΣ)/N Σ for each task, in the mean over tasks the moments
    +-Λ^{1/2} R of the optimum's own risk; here the sums over many prompts come close.
    """
    task = LinearRegression(3, np.diag([1.0, 0.1, 0.01]))
    model, _ = one_layer_optimum(task, shots=SHOTS)
    plain = truncate_weights(model, layer=0, module="query", rank=1)
    found = search_clipping_rate(model, task, shots=SHOTS, module="query", prompts=400, top=1)
    assert found.in_metric is not None
    index = found.in_metric.ranks.index(1)
    prompt = task.sample(5, 4000, SHOTS)
    tokens = prompt.tokens()
    options = {"inputs": np.swapaxes(tokens, 1, 2) @ tokens / SHOTS, "queries": np.diag([1.0, 0.1, 0.01, 0.0])}
    metric = truncate_weights(model, layer=0, module="query", rank=1, target="update", **options)
    risks = [population_risk(w, task, shots=SHOTS).value for w in (plain, metric)]
    best = one_layer_optimum(task, shots=SHOTS, rank=1)[1]
    assert best <= risks[1] < 1.01 * best
    gamma = 13 / 12 * 0.01 + 1.11 / 12
    assert risks[0] == pytest.approx(1.11 - 0.01**2 / gamma, rel=1e-9)
    # The search measures it so too: rank 1 loses little in the metric, nearly everything without.
    loss = [search.validation[index].value for search in (found.in_metric, found.chosen)]
    assert loss[0] > -0.2
    assert loss[1] < -0.4


def test_metric_of_the_chosen_layer():
    """The metric is that of the validation prompts as they enter the layer that was chosen, each with its own S."""
    task, model = LinearRegression(3), random_weights(4, layers=3, token_dim=4, scale=1.2)
    found = search_clipping_rate(model, task, shots=6, module="key", prompts=50, key=8, top=1)
    layer = found.chosen.layer
    assert layer > 0
    seed = int(np.random.default_rng(8).integers(2**62, size=2)[0])
    tokens = task.sample(seed, 50, 6).tokens()
    for t in range(layer):
        moments = np.swapaxes(tokens, 1, 2) @ tokens / 6
        update = model.value[t] @ moments @ model.key[t].T @ model.query[t]
        tokens = tokens + tokens @ np.swapaxes(update, 1, 2)
    moments = np.swapaxes(tokens, 1, 2) @ tokens / 6
    assert found.in_metric is not None
    rank = found.in_metric.rank
    assert rank < 4
    cut = truncate_weights(model, layer=layer, module="key", rank=rank, inputs=moments, target="update")
    assert_close(found.in_metric.model.key, cut.key, 1e-9)


def test_classification_errors():
    """Classification counts errors."""
    task = LinearClassification(3)
    model = gradient_descent_weights(3, step_size=1.0)
    found = search_clipping_rate(model, task, shots=30, top=1, prompts=200, loss="zero_one")
    assert found.test_loss.unit == "error rate"
    assert 0 < found.test_loss.value < 0.5
    assert (found.test_loss.value * 200) % 1 == pytest.approx(0, abs=1e-9)


def test_no_metric_for_mlp(rng):
    """An MLP has no square metric."""
    model = random_weights(0, layers=2, token_dim=4)
    inner, outer = rng.standard_normal((2, 7, 4)), rng.standard_normal((2, 4, 7))
    model = replace(model, mlp_in=inner, mlp_out=outer)
    found = search_clipping_rate(
        model.replace(activation="relu"), LinearRegression(3), shots=5, module="mlp", prompts=10
    )
    assert found.in_metric is None
    assert found.chosen.ranks == (4, 3, 2, 1)
    expected = [max(np.linalg.cond(inner[t]), np.linalg.cond(outer[t])) for t in range(2)]
    assert found.condition_numbers == pytest.approx(expected, rel=1e-9)


def test_rates_of_large_matrix():
    """Rates of a large matrix."""
    assert _ranks(1000, RATES) == (1000, 900, 500, 250, 100, 50, 10, 5)
    assert _ranks(3, None) == (3, 2, 1)


def test_errors():
    """Rates, counts, losses, modules and tasks that do not fit."""
    task, model = LinearRegression(3), gradient_descent_weights(3, layers=2)

    def search(**changes):
        return search_clipping_rate(model, task, shots=4, prompts=changes.pop("prompts", 4), **changes)

    assert "rate: got 0.9 for a 4 x 4 matrix" in error_message(search, rates=RATES)
    assert "top: got 3" in error_message(search, top=3)
    assert "prompts: got 1" in error_message(search, prompts=1)
    assert "loss: got 'hinge'" in error_message(search, loss="hinge")
    assert "without an MLP" in error_message(search, module="mlp")
    assert "token dimension 4" in error_message(search_clipping_rate, model, LinearRegression(2), shots=4)


def test_largest_of_equal_ranks():
    """W_V of rank 1: every rank from 1 to full is the same model, and nothing is cut without a reason."""
    task = LinearRegression(3)
    model = gradient_descent_weights(3, layers=1, step_size=0.5)
    found = search_clipping_rate(model, task, shots=8, prompts=20, module="value", top=1)
    assert {gain.value for gain in found.chosen.validation} == {0.0}
    assert (found.chosen.rank, found.chosen.rate) == (4, 0.0)


def test_zero_prediction():
    """A model of zeros predicts 0 for every label ±1."""
    zero = Model.create(*(np.zeros((1, 4, 4)) for _ in range(3)))
    found = search_clipping_rate(zero, LinearClassification(3), shots=4, prompts=10, top=1, loss="zero_one")
    assert found.test_loss.value == 1.0


def test_one_program(caplog: pytest.LogCaptureFixture) -> None:
    """Truncations to several ranks, each with ranks that are known, are compiled once."""
    task, model = LinearRegression(3), random_weights(2, layers=2, token_dim=4)
    prompt = task.sample(0, 7, 11)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        for rank in (3, 2, 1):
            predict(truncate_weights(model, layer=0, module="value", rank=rank), prompt)
    compiled = [line for line in caplog.messages if "Compiling" in line and "predict_batch" in line]
    assert len(compiled) == 1
