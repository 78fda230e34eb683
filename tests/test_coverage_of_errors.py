"""How often one standard error around an estimate holds the truth: 68.3 % of many repetitions, counted."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from standard_errors import assert_covers

from icl_theory import (
    Estimate,
    LinearClassification,
    LinearRegression,
    Model,
    ReLUTeacher,
    SparseLinearRegression,
    accuracy,
    bayes_risk,
    bound_ladder,
    ksg_mutual_information,
    least_squares_risk,
    mutual_information,
    population_risk,
    random_weights,
    ridge_risk,
)
from icl_theory.information.ladder.individual_sample import exchanged_channel, nested
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.path_sandwich import path_channels
from icl_theory.information.ladder.setting import Setting

REPETITIONS = 500
TASK = LinearRegression(2, noise_std=0.7)


def repeated(one: Callable[[int], Estimate]) -> list[Estimate]:
    return [one(seed) for seed in range(REPETITIONS)]


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_factor_of_root_two(shift: float) -> None:
    """The control of this file: right error bars pass, those a factor of sqrt 2 off and a shifted truth do not."""
    rng, scale = np.random.default_rng(0), math.sqrt(20)
    samples = rng.standard_normal((REPETITIONS, 20))
    for factor in (1.0, math.sqrt(0.5), math.sqrt(2.0)):
        found = [Estimate(float(v.mean()), float(factor * v.std(ddof=1)) / scale, 20) for v in samples]
        if factor == 1.0:
            assert_covers(found, 0.0)
            with pytest.raises(AssertionError):
                assert_covers(found, 2 * shift / scale)
        else:
            with pytest.raises(AssertionError):
                assert_covers(found, 0.0)


@pytest.mark.slow
def test_population_risk() -> None:
    """A second layer of zeros changes nothing: the sampled risk beside the closed form of one layer."""
    one = random_weights(3, layers=1, token_dim=3, scale=0.5)
    two = Model(*(np.concatenate([a, 0 * a]) for a in (one.value, one.key, one.query)))
    truth = population_risk(one, TASK, shots=8).value
    assert_covers(repeated(lambda key: population_risk(two, TASK, shots=8, samples=400, key=key)), truth)


@pytest.mark.slow
def test_population_risk_over_prompts() -> None:
    """A causal mask changes nothing at one layer, but whole prompts are sampled then."""
    one = random_weights(3, layers=1, token_dim=3, scale=0.5)
    truth = population_risk(one, TASK, shots=8).value
    options: dict[str, Any] = {"shots": 8, "samples": 600}
    assert_covers(repeated(lambda key: population_risk(one.replace(mask="causal"), TASK, key=key, **options)), truth)


@pytest.mark.slow
def test_accuracy() -> None:
    task, model = LinearClassification(2), random_weights(2, layers=1, token_dim=3, scale=1.5)
    assert_covers(repeated(lambda key: accuracy(model, task, shots=4, samples=800, key=key)))


BASELINES: dict[str, Callable[[int], Estimate]] = {
    "bayes": lambda key: bayes_risk(TASK, shots=6, samples=200, key=key),
    "ridge": lambda key: ridge_risk(TASK, shots=6, penalty=0.2, samples=200, key=key),
    "sparse": lambda key: bayes_risk(
        SparseLinearRegression(2, noise_std=0.7, nonzero=1), shots=6, samples=400, key=key
    ),
    "prompts": lambda key: ridge_risk(ReLUTeacher(2, 2), shots=6, penalty=0.2, samples=800, key=key),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES)
def test_baselines(name: str) -> None:
    assert_covers(repeated(BASELINES[name]))


@pytest.mark.slow
def test_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = least_squares_risk(TASK, shots=14).value
    monkeypatch.setattr("icl_theory.risk.baselines._wishart_risk", lambda *_: None)
    assert_covers(repeated(lambda key: least_squares_risk(TASK, shots=14, samples=200, key=key)), truth)


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_ladder(layers: int) -> None:
    """Gap, losses and every rung of one ladder; at three layers the chain's prior is learnt from the other runs."""
    task, loose, eye = LinearRegression(1, noise_std=0.5), random_weights(4, layers=layers, token_dim=2), np.eye(2)
    model = Model.create(*(0.1 * m + 0.3 * eye for m in (loose.value, loose.key, loose.query)))
    # Small weights and many demonstrations: the sizes of deep layers have heavy tails, which no error bar survives.
    options: dict[str, Any] = {"demonstrations": 60, "shots": 20, "clip": 2.0, "samples": 240, "pairs": 16}
    ladders = [bound_ladder(model, task, task_vector=[0.8], key=key, **options) for key in range(REPETITIONS)]
    for pick in ("gap", "population_loss"):
        assert_covers([getattr(ladder, pick) for ladder in ladders])
    for name in ("path_gaussian", "chain", "gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired"):
        assert_covers([ladder.information[name] for ladder in ladders])
        assert_covers([ladder.rungs[name] for ladder in ladders])


@pytest.mark.slow
@pytest.mark.parametrize("end", ["lower", "upper"])
def test_sandwich(end: str) -> None:
    """About the mean of the repetitions: each end stands on its own side of the information."""

    def one(seed: int) -> Estimate:
        rng = np.random.default_rng(seed)
        inputs = math.sqrt(0.5) * rng.standard_normal((200, 2))
        outputs = inputs + rng.standard_normal((200, 2))
        return getattr(mutual_information(outputs, inputs, np.broadcast_to(np.eye(2), (200, 2, 2))), end)

    assert_covers(repeated(one))


@pytest.mark.slow
def test_nested() -> None:
    model, task = random_weights(4, layers=1, token_dim=2, scale=1.4), LinearRegression(1, noise_std=0.5)
    setting = Setting(model, task, np.array([0.7]), 12, 4)

    def one(seed: int) -> Estimate:
        runs = simulate(setting, draw(setting, np.random.default_rng(seed), 400))
        exchanged = exchanged_channel(runs, setting, 400)
        assert exchanged is not None
        return nested(path_channels(runs, setting, None), exchanged)[0]

    assert_covers(repeated(one))


@pytest.mark.slow
def test_nearest_neighbours() -> None:
    """Its local terms are not independent, as its error bar takes them to be: too small by a quarter, as it says."""
    found = []
    for seed in range(4 * REPETITIONS):
        x, noise = np.random.default_rng(seed).standard_normal((2, 300))
        found.append(ksg_mutual_information(x, x + noise))
    claimed = math.sqrt(np.mean([f.stderr**2 for f in found]))
    assert np.std([f.value for f in found], ddof=1) == pytest.approx(1.25 * claimed, rel=0.1)
