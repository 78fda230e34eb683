"""The terms of every rung along two noisy layers, the sandwich, the floor and the sweep, each against a slow twin."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from two_layers import SHOTS, TASK, N, W, gaussian_table, slow_terms

from icl_theory import (
    Model,
    bound_ladder,
    mutual_information,
    population_risk,
    random_weights,
    rank_sweep,
)
from icl_theory.information.estimators.sandwich import sandwich
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.rungs import layer_terms, reference_of
from icl_theory.information.ladder.setting import Setting
from icl_theory.truncation.module_truncation import truncate_weights

RUNS = 12


def by_hand(log_p):
    """Both ends of the sandwich from a K x K table, with loops."""
    count = len(log_p)
    upper = lower = 0.0
    for i in range(count):
        others = [math.exp(log_p[i][j]) for j in range(count) if j != i]
        upper += (log_p[i][i] - math.log(sum(others) / (count - 1))) / count
        lower += (log_p[i][i] - math.log((sum(others) + math.exp(log_p[i][i])) / count)) / count
    return lower, upper


def test_ends_from_a_table():
    """Both ends from a table of densities."""
    rng = np.random.default_rng(0)
    means, scales = rng.standard_normal((5, 1)), rng.uniform(0.5, 2.0, 5)
    outputs = means + rng.standard_normal((5, 1))
    ends = mutual_information(outputs, means, (scales**2)[:, None, None])
    table = [
        [
            -0.5 * ((w - m) / s) ** 2 - math.log(s) - 0.5 * math.log(2 * math.pi)
            for m, s in zip(means[:, 0], scales, strict=True)
        ]
        for w in outputs[:, 0]
    ]
    assert (ends.lower.value, ends.upper.value) == pytest.approx(by_hand(table), rel=1e-12)


def ends_of_table(log_p):
    own, count, others = np.diag(log_p), len(log_p), log_p.copy()
    np.fill_diagonal(others, -np.inf)
    upper = (own - logsumexp(others, axis=1)).mean() + math.log(count - 1)
    return (own - logsumexp(log_p, axis=1)).mean() + math.log(count), upper


def test_jackknife():
    """Leaving one pair out takes it from the outputs and from every mixture; either alone is off by 2 % here."""
    rng, count = np.random.default_rng(2), 400
    inputs = rng.standard_normal((count, 2))
    rng.standard_normal(count)
    outputs = inputs + rng.standard_normal((count, 2))
    ends = mutual_information(outputs, inputs, np.broadcast_to(np.eye(2), (count, 2, 2)))
    log_p = -0.5 * ((outputs[:, None] - inputs[None]) ** 2).sum(-1)
    left_out = [ends_of_table(np.delete(np.delete(log_p, k, 0), k, 1)) for k in range(count)]
    errors = np.std(left_out, axis=0) * math.sqrt(count - 1)
    assert ends.upper.stderr == pytest.approx(errors[1], rel=0.006)
    assert ends.lower.stderr == pytest.approx(errors[0], rel=0.012)


def upper_with_prior(log_p, prior):
    """The upper end with a half of the mixture given to q, with loops."""
    total, count = 0.0, len(log_p)
    for i in range(count):
        others = sum(math.exp(log_p[i, j]) for j in range(count) if j != i) / (count - 1)
        total += log_p[i, i] - math.log(0.5 * others + 0.5 * math.exp(prior[i]))
    return total / count


def test_half_of_the_mixture():
    """A prior takes half of the mixture."""
    channel, prior = gaussian_table(40)
    found, plain = sandwich([channel], prior=prior), sandwich([channel])
    assert found.upper.value == pytest.approx(upper_with_prior(channel.table, prior), rel=1e-12)
    assert found.lower == plain.lower


def test_prior_bounds_upper_end():
    """A prior keeps the upper end above the truth and bounded."""
    truth = math.log(5)  # ½ · 2 · log(1 + 4)
    found = [sandwich([c], prior=q).upper.value for c, q in (gaussian_table(100, seed) for seed in range(60))]
    assert np.mean(found) > truth - 6 * np.std(found) / math.sqrt(60)
    channel, prior = gaussian_table(100)
    own = np.diag(channel.table)
    for q in (prior, prior - 50.0, np.full(100, -1e300)):  # however bad q is, it costs log 2 at most
        assert sandwich([channel], prior=q).upper.value <= sandwich([channel]).upper.value + math.log(2) + 1e-12
    assert sandwich([channel], prior=prior).upper.value <= (own - prior).mean() + math.log(2) + 1e-12


@pytest.mark.parametrize(("module", "rank"), [("value", 3), ("value", 2), ("query", 1)])
def test_two_layer_terms(module, rank):
    """Terms of two layers against dense vectors."""
    loose, eye = random_weights(3, layers=2, token_dim=3, scale=0.4), 0.6 * np.eye(3)
    # Well conditioned, so that the dense twin, which squares nothing away, can be trusted to 1e-8.
    full = Model.create(loose.value + eye, loose.key + eye, loose.query + eye)
    model = truncate_weights(full, layer=1, module=module, rank=rank)
    setting = Setting(model, TASK, W, N, SHOTS)
    draws = draw(setting, np.random.default_rng(1), RUNS)
    runs = simulate(setting, draws)
    reference = reference_of(setting)
    expected = slow_terms(model, draws, setting.basis)
    for layer in range(2):
        got = layer_terms(runs.layers[layer], runs, setting, reference, layer)
        names = {"divergence", "log_volume"} if layer == 0 else set(got) - {"gaussian"}
        for name in names:  # the sizes of the first layer are expectations, tested where they are used
            np.testing.assert_allclose(got[name], [run[layer][name] for run in expected], rtol=1e-8, err_msg=name)
        invertible = layer == 0 or rank == 3
        source = "log_ratio" if invertible else "divergence"
        np.testing.assert_allclose(got["gaussian"], [run[layer][source] for run in expected], rtol=1e-8)


def test_floor_adds_noise():
    """The floor adds noise of its variance on the support."""
    model = truncate_weights(random_weights(3, layers=1, token_dim=3), layer=0, module="value", rank=2)
    setting = Setting(model, TASK, W, N, SHOTS, floor=0.04)
    runs = simulate(setting, draw(setting, np.random.default_rng(2), 4000))
    layer = runs.layers[0]
    extra = layer.outputs - runs.draws.observations[:, 0] @ layer.maps[0].T
    covariance = extra.T @ extra / len(extra)
    np.testing.assert_allclose(covariance, 0.04 * np.eye(5), atol=6 * 0.04 * math.sqrt(2 / len(extra)))
    np.testing.assert_allclose(layer.increment, runs.accumulated, atol=1e-12)


SWEEP = {"demonstrations": N, "shots": SHOTS, "clip": 4.0, "samples": 64, "key": 3, "task_vector": W}


def test_sweep():
    """A sweep truncates, compares and reports."""
    model, seen = random_weights(5, layers=1, token_dim=3, scale=1.5), []
    records = rank_sweep(
        model, TASK, modules=("value", "query"), progress=lambda _text, done, total: seen.append((done, total)), **SWEEP
    )
    assert seen == [(i, 6) for i in range(1, 7)]
    assert [(r["module"], r["rank"], r["support"]) for r in records] == [
        (module, rank, [3 * rank - rank * (rank - 1) // 2]) for module in ("value", "query") for rank in (1, 2, 3)
    ]
    full = records[2]
    for record in records:
        change = record["information"]["gaussian"]["value"] - full["information"]["gaussian"]["value"]
        assert record["change"]["gaussian"]["value"] == pytest.approx(change, abs=1e-12)
        assert record["change"]["gap"]["value"] == pytest.approx(
            record["gap"]["value"] - full["gap"]["value"], abs=1e-12
        )
        cut = truncate_weights(model, layer=0, module=record["module"], rank=record["rank"])
        assert record["population_risk"]["value"] == population_risk(cut, TASK, shots=SHOTS).value
    assert records[0]["change"]["gaussian"]["value"] < 0
    assert max(abs(x) for x in np.ravel([*full["change"]["gap"]["interval"], full["change"]["gap"]["stderr"]])) < 1e-13


def test_sweep_checks_first():
    """The sweep rejects bad places before it computes."""
    model = random_weights(5, layers=1, token_dim=3)
    for change, words in (
        ({"ranks": [4]}, "ranks: got 4"),
        ({"layer_indices": [1]}, "layer_indices: got 1"),
        ({"modules": ["mlp"]}, "mlp"),
    ):
        with pytest.raises(ValueError, match=words):
            rank_sweep(model, TASK, **(SWEEP | change))  # pyright: ignore[reportArgumentType]  (a mixed table)


def test_mlp_is_named():
    """A ladder says that it counted a linear MLP as part of W_V, and it is that of the model without one."""
    model = random_weights(3, layers=1, token_dim=3)
    folded = model.replace(mlp_in=0.7 * model.query, mlp_out=model.key)
    with_mlp, without = (bound_ladder(m, TASK, **SWEEP) for m in (folded, folded.without_mlp()))
    assert "MLP" in with_mlp.notes[0]
    assert without.notes == ()
    assert with_mlp.rungs["gaussian"].value == pytest.approx(without.rungs["gaussian"].value, rel=1e-9)
