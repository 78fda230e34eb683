"""Error bars of what runs report: risks of trained members, curves over seeds, risks of several outputs."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from influences import error_of_mean

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Model,
    VectorRegression,
    accuracy,
    bayes_risk,
    gradient_descent_weights,
    least_squares_risk,
    population_risk,
    predict,
    random_weights,
    ridge_risk,
)
from icl_theory.records.documents import to_plain
from icl_theory.records.sweep_means import averaged_over, mean_and_error, over_ranks, over_tasks
from icl_theory.report.terminal.training_table import table
from icl_theory.risk.population import risk_and_losses
from icl_theory.runs.train import _outcome
from icl_theory.tasks.laws import Uniform

TASK = LinearRegression(2, noise_std=0.5)


def stacked(*models: Model) -> Model:
    return Model(*(np.stack([getattr(m, n) for m in models]) for n in ("value", "key", "query")))


def test_error_over_seeds():
    """Spread over seeds and the error within one, which their common draws share: root of the sum of squares."""
    values, within = [1.0, 2.0, 4.0], [0.1, 0.3, 0.2]
    records: list[dict[str, Any]] = [
        {"rank": 2, "task": 0, "seed": i, "value": v, "stderr": e}
        for i, (v, e) in enumerate(zip(values, within, strict=True))
    ]
    records.append({"rank": 1, "task": 0, "seed": 0, "value": 5.0, "stderr": 0.25})
    ranks, means, errors = over_ranks(records, lambda record: (record["value"], record["stderr"]))
    assert ranks.tolist() == [1, 2]
    assert means == pytest.approx([5.0, 7 / 3])
    between = math.sqrt(((1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2 + (4 - 7 / 3) ** 2) / 2 / 3)
    assert errors == pytest.approx([0.25, math.sqrt(between**2 + 0.2**2)])


def test_error_over_seeds_and_tasks():
    """Two crossed factors: simulated means scatter as the error says, which the pooled s² / (S T) does not."""
    rng, seeds, tasks = np.random.default_rng(0), 5, 7
    means, errors, pooled = [], [], []
    table, records = np.zeros((seeds, tasks)), []
    for _ in range(4000):
        by_seed, by_task = 0.5 * rng.standard_normal(seeds), rng.standard_normal(tasks)
        table = by_seed[:, None] + by_task + 0.3 * rng.standard_normal((seeds, tasks))
        records = [
            {"task": t, "seed": s, "value": table[s, t], "stderr": 0.3} for s in range(seeds) for t in range(tasks)
        ]
        mean, error = mean_and_error(records, lambda record: (record["value"], record["stderr"]))
        means.append(mean)
        errors.append(error)
        pooled.append(table.std(ddof=1) / math.sqrt(seeds * tasks))
    scatter = float(np.std(means))
    # The interaction is counted twice, so the error is a little too large, and never too small.
    assert scatter < math.sqrt(np.mean(np.square(errors))) < 1.05 * scatter
    assert np.mean(pooled) < 0.5 * scatter
    assert over_tasks(records, lambda record: (record["value"], 0.0)) == pytest.approx(table.mean(axis=0))
    assert averaged_over(records) == "5 seeds and 7 tasks"
    assert averaged_over(records[:1]) == "1 seed and 1 task"
    records[3]["value"] = math.inf
    assert mean_and_error(records, lambda record: (record["value"], 0.0)) == (math.inf, 0.0)


def outcome(task: Any, model: Model) -> dict[str, Any]:
    """What a training run reports of these weights, the second member having diverged."""
    config = SimpleNamespace(layers=model.layers, shots=5)
    losses = np.arange(3 * 40, dtype=np.float32).reshape(3, 40)
    result: Any = SimpleNamespace(config=config, models=model, losses=losses, diverged=np.array([False, True, False]))
    return _outcome(task, result, 0.8)


def test_member_keys():
    """Risks of a training run have a key of their own for every member."""
    task = LinearClassification(2)
    models = [random_weights(seed, layers=2, token_dim=3, scale=0.5) for seed in range(3)]
    found = outcome(task, stacked(*models))
    assert found["diverged"] == [1]
    assert found["excess"] is None  # two layers have no known optimum
    for name, measure in (("population_risk", population_risk), ("accuracy", accuracy)):
        assert found[name][1] is None
        for seed in (0, 2):
            assert found[name][seed] == measure(models[seed], task, shots=5, key=seed)
            assert found[name][seed].stderr > 0
    assert found["last_loss"] == pytest.approx([37.5, 77.5, 117.5])
    text = [[str(cell) for cell in column.cells] for column in table(to_plain(found)).columns]
    for row, seed in ((0, 0), (2, 2)):
        risk = found["population_risk"][seed]
        assert text[2][row] == f"{risk.value:.5g} +- {risk.stderr:.1g}"
        assert text[3][row] == f"{risk.value / 0.8 - 1:+.2%}"


def test_exact_excess():
    """The relative excess of a closed form over another has no error bar."""
    models = [gradient_descent_weights(2, step_size=0.5 + 0.1 * seed) for seed in range(3)]
    found = outcome(TASK, stacked(*models))
    risks = [population_risk(model, TASK, shots=5) for model in models]
    assert found["excess"] == [pytest.approx(risks[0].value / 0.8 - 1), None, pytest.approx(risks[2].value / 0.8 - 1)]
    assert [risk and (risk.stderr, risk.direction) for risk in found["population_risk"]] == [
        (0.0, "exact"),
        None,
        (0.0, "exact"),
    ]


@pytest.mark.parametrize("measure", [least_squares_risk, bayes_risk, ridge_risk], ids=lambda f: f.__name__)
def test_several_outputs(measure):
    """Given the inputs the outputs are independent copies, integrated out: d_y times the same draws, not √d_y."""
    options: dict[str, Any] = {"shots": 6, "samples": 50, "key": 2}
    if measure is ridge_risk:
        options["penalty"] = 0.3
    one = measure(LinearRegression(3, noise_std=0.5, inputs=Uniform()), **options)
    several = measure(VectorRegression(3, 4, noise_std=0.5, inputs=Uniform()), **options)
    assert one.stderr > 0
    assert several.value == pytest.approx(4 * one.value, rel=1e-12)
    assert several.stderr == pytest.approx(4 * one.stderr, rel=1e-12)
    assert (several.samples, several.direction, several.unit) == (50, "unbiased", "squared error")


def test_sampled_outputs():
    """|ŷ - y|² is one number per prompt: three outputs are not three samples."""
    task, model = VectorRegression(2, 3, noise_std=0.5), random_weights(2, layers=2, token_dim=5, scale=0.5)
    found, losses = risk_and_losses(model, task, shots=4, samples=50, key=1)
    assert losses is not None
    rng = np.random.default_rng(1)
    prompt = task.sample_prompts(rng, task.sample_tasks(rng, 50), 4)
    squares = [sum((a - b) ** 2) for a, b in zip(predict(model, prompt), prompt.y_query, strict=True)]
    np.testing.assert_allclose(losses, squares, rtol=1e-9)
    assert (found.value, found.stderr) == pytest.approx((np.mean(squares), error_of_mean(squares)), rel=1e-9)
    assert (found.samples, found.direction, found.unit) == (50, "unbiased", "squared error")
