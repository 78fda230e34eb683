"""Error bars of paired comparisons: rank sweeps, the clipping search, agreement with gradient descent."""

import math
from typing import Any

import numpy as np
import pytest
from influences import error_of_mean, jackknife_error, mean

from icl_theory import (
    Estimate,
    LinearClassification,
    LinearRegression,
    Model,
    Prompt,
    bound_ladder,
    population_risk,
    predict,
    random_weights,
    rank_sweep,
    search_clipping_rate,
    truncate_weights,
)
from icl_theory.descent.agreement import gradient_descent_agreement
from icl_theory.risk.population import risk_and_losses

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])
SWEEP: dict[str, Any] = {"demonstrations": 24, "shots": 6, "clip": 4.0, "samples": 40, "key": 3, "task_vector": W}


def assert_mean(found: Estimate, values: np.ndarray, unit: str, rel: float = 1e-9) -> None:
    """Value, error, number of samples, direction and unit of a mean of independent values."""
    scale = float(np.abs(values).max())
    assert found.value == pytest.approx(values.mean(), rel=rel, abs=1e-13 * scale)
    assert found.stderr == pytest.approx(error_of_mean(values), rel=rel, abs=1e-13 * scale)
    assert (found.samples, found.direction, found.unit) == (len(values), "unbiased", unit)


def stacked(*models: Model) -> Model:
    return Model(*(np.stack([getattr(m, n) for m in models]) for n in ("value", "key", "query")))


ENDS = ("sandwich_lower", "readout_sample", "readout", "individual_sample", "mutual_information", "path_information")
PRIORS = ("path_gaussian", "chain", "gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired")
CHANGES = {"gap": "gap", "population": "population_loss"} | {name: name for name in (*ENDS, *PRIORS)}


def test_paired_changes():
    """After minus before, run by run; both ladders and both risks come from `bound_ladder` under the same key."""
    model = random_weights(5, layers=2, token_dim=3, scale=0.4)
    cut = truncate_weights(model, layer=1, module="value", rank=2)
    record = rank_sweep(model, TASK, **SWEEP, layer_indices=[1], ranks=[2])[0]
    after, before = (bound_ladder(member, TASK, **SWEEP) for member in (cut, model))
    ends = {"gap": (after.gap, before.gap), "population": (after.population_loss, before.population_loss)}
    ends["sandwich_lower"] = (after.sandwich.lower, before.sandwich.lower)
    apart = []
    for name, called in CHANGES.items():
        pair = ends.get(name) or (after.information[name], before.information[name])
        change, difference = record["change"][called], after.terms[name] - before.terms[name]
        assert change["value"] == pytest.approx(pair[0].value - pair[1].value, rel=1e-9, abs=1e-11)
        assert change["stderr"] == pytest.approx(error_of_mean(difference), rel=1e-9)
        half = 1.96 * change["stderr"]
        assert change["interval"] == pytest.approx([change["value"] - half, change["value"] + half], rel=1e-12)
        apart.append(change["stderr"] / math.hypot(pair[0].stderr, pair[1].stderr))
    assert set(record["change"]) == {*CHANGES.values(), "population_risk"}
    assert min(abs(a - 1) for a in apart) > 0.01  # two independent errors would be other ones
    for found, expected in (
        (record["gap"], after.gap),
        (record["population_loss"], after.population_loss),
        *((record["sandwich"][end], getattr(after.sandwich, end)) for end in ("lower", "upper")),
        *(
            (record[kind][name], getattr(after, kind)[name])
            for kind in ("rungs", "information")
            for name in after.rungs
        ),
    ):
        assert (found["value"], found["stderr"]) == pytest.approx((expected.value, expected.stderr), rel=1e-9)
        assert found["direction"] == expected.direction
    _assert_paired_risks(record, cut, model)


def _assert_paired_risks(record: dict[str, Any], cut: Model, model: Model) -> None:
    rng = np.random.default_rng(SWEEP["key"])
    TASK.sample_tasks(rng, 1)
    key = int(rng.integers(2**62)) % 2**31
    options = {"shots": SWEEP["shots"], "samples": SWEEP["samples"], "key": key}
    (risk, after), (_, before) = (risk_and_losses(member, TASK, **options) for member in (cut, model))
    assert after is not None
    assert before is not None
    assert_mean(risk, after, "squared error")
    change, found = record["change"]["population_risk"], record["population_risk"]
    assert (found["value"], found["stderr"]) == pytest.approx((risk.value, risk.stderr), rel=1e-12)
    assert change["value"] == pytest.approx((after - before).mean(), rel=1e-9)
    assert change["stderr"] == pytest.approx(error_of_mean(after - before), rel=1e-9)


def test_exact_differences():
    """One layer: both risks are closed forms, and so is what truncation does to them."""
    model = random_weights(5, layers=1, token_dim=3, scale=0.4)
    record = rank_sweep(model, TASK, **SWEEP, ranks=[2])[0]
    cut = truncate_weights(model, layer=0, module="value", rank=2)
    risks = [population_risk(member, TASK, shots=SWEEP["shots"]).value for member in (cut, model)]
    change = record["change"]["population_risk"]
    assert change["value"] == pytest.approx(risks[0] - risks[1], rel=1e-10)
    assert change["stderr"] == 0.0


def implied(model: Model, moment: np.ndarray) -> list[np.ndarray]:
    """p after every layer: M ← M + W_V M S Mᵀ W_Kᵀ W_Q M from M = I, and minus the label row of M."""
    m, path = np.eye(len(moment)), []
    for value, key, query in zip(model.value, model.key, model.query, strict=True):
        m = m + value @ m @ moment @ m.T @ key.T @ query @ m
        path.append(-m[-1, :-1])
    return path


def descended(moment: np.ndarray, eta: float, steps: int) -> list[np.ndarray]:
    w, path = np.zeros(len(moment) - 1), []
    for _ in range(steps):
        w = w - eta * (moment[:-1, :-1] @ w - moment[:-1, -1])
        path.append(w)
    return path


AGREEMENT = ("prediction_difference", "sensitivity_cosine", "sensitivity_norm_difference", "implied_weight_distance")


def metrics(model: Model, task: LinearRegression, eta: float, prompts: int, key: int) -> np.ndarray:
    """The four of every layer and prompt of the second set that the key draws, shape (4, L, prompts)."""
    rng = np.random.default_rng(key)
    moments = [task.sample_moments(rng, prompts, 8)[0] for _ in range(2)][1]
    result = np.empty((4, model.layers, prompts))
    for i, moment in enumerate(moments):
        for t, (p, w) in enumerate(zip(implied(model, moment), descended(moment, eta, model.layers), strict=True)):
            length = math.sqrt(p @ p), math.sqrt(w @ w)
            result[:, t, i] = (
                (p - w) @ task.covariance @ (p - w),
                p @ w / (length[0] * length[1]),
                abs(length[0] - length[1]),
                math.sqrt((p - w) @ (p - w)),
            )
    return result


def test_one_model():
    """Agreement of one model is a mean over prompts."""
    task, model = LinearRegression(2, np.diag([1.0, 0.3]), noise_std=0.4), random_weights(4, layers=2, token_dim=3)
    found = gradient_descent_agreement(model, task, shots=8, prompts=30, key=5)
    values = metrics(model, task, float(found.step_size[0]), 30, 5)
    for t, layer in enumerate(found.layers):
        root = layer.prediction_difference
        assert root.value == pytest.approx(math.sqrt(values[0, t].mean()), rel=1e-9)
        error = jackknife_error(lambda w, x=values[0, t]: np.sqrt(mean(w, x)), 30)
        assert root.stderr == pytest.approx(error, rel=1e-9)
        assert (root.samples, root.direction, root.unit) == (30, "unbiased", "label")
        for name, unit, row in zip(AGREEMENT[1:], ("cosine", "weight", "weight"), values[1:, t], strict=True):
            assert_mean(getattr(layer, name), row, unit)


def test_ensemble():
    """Three members on the same 30 prompts: three numbers, not thirty and not ninety."""
    task = LinearRegression(2, np.diag([1.0, 0.3]), noise_std=0.4)
    models = [random_weights(seed, layers=2, token_dim=3) for seed in (4, 5, 6)]
    found = gradient_descent_agreement(stacked(*models), task, shots=8, prompts=30, key=5)
    values = np.stack([metrics(m, task, float(e), 30, 5) for m, e in zip(models, found.step_size, strict=True)])
    for t, layer in enumerate(found.layers):
        assert_mean(layer.prediction_difference, np.sqrt(values[:, 0, t].mean(axis=-1)), "label")
        for name, unit, rows in zip(
            AGREEMENT[1:], ("cosine", "weight", "weight"), np.moveaxis(values[:, 1:, t], 1, 0), strict=True
        ):
            assert_mean(getattr(layer, name), rows.mean(axis=-1), unit)


@pytest.mark.parametrize(("loss", "seed"), [("squared", 15), ("zero_one", 19)])
def test_clipping_search(loss, seed):
    """Gains are paired, prompt by prompt; the optimism joins two independent sets of prompts."""
    task = LinearClassification(2) if loss == "zero_one" else LinearRegression(2, noise_std=0.5)
    unit = "error rate" if loss == "zero_one" else "squared error"
    model, prompts = random_weights(seed, layers=2, token_dim=3, scale=0.6), 60
    found = search_clipping_rate(model, task, shots=6, module="value", top=1, prompts=prompts, key=7, loss=loss)
    sets = [task.sample(int(seed), prompts, 6) for seed in np.random.default_rng(7).integers(2**62, size=2)]

    def losses(member: Model, prompt: Prompt) -> np.ndarray:
        guess = predict(member, prompt)
        wrong = np.sign(guess) != prompt.y_query
        return wrong.astype(float) if loss == "zero_one" else (guess - prompt.y_query) ** 2

    def gains(layer: int, rank: int, part: int) -> np.ndarray:
        cut = truncate_weights(model, layer=layer, module="value", rank=rank)
        return losses(model, sets[part]) - losses(cut, sets[part]) if rank < 3 else np.zeros(prompts)

    chosen = found.chosen
    for rank, gain in zip(chosen.ranks, chosen.validation, strict=True):
        assert_mean(gain, gains(chosen.layer, rank, 0), unit)
    best = [max((3, 2, 1), key=lambda r, layer=layer: gains(layer, r, 0).mean()) for layer in range(2)]
    assert (chosen.layer, chosen.rank) == (1, best[1])
    test = gains(chosen.layer, chosen.rank, 1)
    assert_mean(chosen.test_gain, test, unit)
    assert chosen.validation_gain == chosen.validation[chosen.ranks.index(chosen.rank)]
    parts = error_of_mean(gains(chosen.layer, chosen.rank, 0)), error_of_mean(test)
    assert min(parts) > 0.5 * max(parts) > 0  # each of them is seen
    assert chosen.optimism.stderr == pytest.approx(math.sqrt(parts[0] ** 2 + parts[1] ** 2), rel=1e-9)
    assert chosen.optimism.value == pytest.approx(chosen.validation_gain.value - test.mean(), rel=1e-9)
    assert (chosen.optimism.samples, chosen.optimism.direction, chosen.optimism.unit) == (prompts, "unbiased", unit)
    # One number per prompt, the mean over layers: the layers' gains on a prompt belong together.
    assert_mean(found.random_layer, np.mean([gains(layer, r, 1) for layer, r in enumerate(best)], axis=0), unit)
    assert_mean(found.test_loss, losses(model, sets[1]), unit)
    kept = losses(model, sets[1]) - test
    np.testing.assert_allclose(found.test_losses, [losses(model, sets[1]), kept], rtol=1e-9, atol=1e-12)
    assert found.in_metric is not None
    white = losses(model, sets[1]) - losses(found.in_metric.model, sets[1])
    if found.in_metric.rank < 3:
        assert_mean(found.in_metric.test_gain, white, unit)
