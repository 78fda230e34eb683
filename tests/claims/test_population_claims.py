"""What the claims about populations compute, on hardly trained models: each against a second method."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_close, assert_mean
from scipy.stats import kendalltau

from icl_theory import implicit_trajectory, population_risk
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import SHOTS
from icl_theory.claims.engine.profiles import Profile
from icl_theory.claims.noise import noise_training, remark_3
from icl_theory.claims.pruning import more_shots_help, optimal_rate_varies, rate_transfer
from icl_theory.claims.quantities import prompt_errors, shifted_tasks
from icl_theory.claims.training import readout_trained
from icl_theory.claims.trajectory import remark_5_norm
from icl_theory.claims.truncation import condition_number_by_layer, condition_number_by_module


@pytest.fixture(scope="module")
def factory():
    profile = Profile(seeds=2, samples=64, steps={1: 200, 3: 30}, scalar_samples=1000, trained_seeds=3)
    return CaseFactory(profile, 5)


def test_independent_members(factory):
    """Members of a population are draws of their own."""
    for layers, hidden in ((1, 0), (3, 6)):
        cases = factory.trained_seeds(layers, hidden)
        assert len(cases) == 3
        assert len({case.seed for case in cases}) == 3
        for first, second in itertools.combinations(cases, 2):
            assert np.abs(first.model.value - second.model.value).max() > 1e-3
            assert not np.isin(first.demonstrations, second.demonstrations).any()
            stacks = [prompt_errors.moments(case, SHOTS, 8)[0] for case in (first, second)]
            assert not np.isin(stacks[0], stacks[1]).any()
    assert factory.trained(1) == factory.trained_seeds(1)[:2]
    assert all(case.model.mlp_in.shape == (3, 6, 6) for case in factory.trained_seeds(3, 6))


def test_no_demonstrations(factory):
    """Without demonstrations the prediction is zero."""
    case = factory.trained_seeds(3)[0]
    _, w = prompt_errors.moments(case, 1)
    assert_close(more_shots_help.log_errors(case, 0), np.log((w**2).sum(1)))
    assert_close(more_shots_help.log_errors(case, 4), np.log(prompt_errors.errors(case, case.model, 4)))


def test_exact_clipped_risks(factory):
    """Exact risks of clipped models against prompts."""
    case = factory.trained_seeds(1)[0]
    for task in (shifted_tasks.HARD, *shifted_tasks.OTHERS.values()):
        model = prompt_errors.clipped(case, 0, "key", 0.5)
        assert np.linalg.matrix_rank(model.key[0]) == 3
        shown = replace(case, task=task)
        assert_mean(prompt_errors.errors(shown, model, 5, 8192), shifted_tasks.risk(model, task, 5))
        before = shifted_tasks.risk(case.model, task, 5)
        assert shifted_tasks.rise(case, task, 5, 0.5) == pytest.approx(shifted_tasks.risk(model, task, 5) / before - 1)
        assert shifted_tasks.rise(case, task, 5, 0.0) == 0.0


def test_rate_choice(factory):
    """A rate is chosen where the validation error is smallest."""
    case = factory.trained_seeds(1)[0]
    errors = {rate: shifted_tasks.validated(case, shifted_tasks.HARD, 5, "key", rate) for rate in shifted_tasks.RATES}
    assert errors[shifted_tasks.best_rate(case, shifted_tasks.HARD, 5)] == min(errors.values())
    rng = np.random.default_rng([case.seed, 5])
    stack, w = shifted_tasks.HARD.sample_moments(rng, shifted_tasks.VALIDATION, 5)
    p = prompt_errors.implied(case.model, stack)
    assert errors[0.0] == pytest.approx(((p - w) ** 2).sum(1).mean())


def test_equal_rates(factory, monkeypatch):
    """Equal rates have no advantage."""
    case = factory.trained_seeds(1)[0]
    monkeypatch.setattr(shifted_tasks, "best_rate", lambda *_: 0.5)
    assert optimal_rate_varies.advantage(case) == 0.0
    monkeypatch.setattr(shifted_tasks, "best_rate", lambda case, task, shots: 0.5 if shots == 5 else 0.0)
    risks = {
        (r, n): shifted_tasks.risk(prompt_errors.clipped(case, 0, "key", r), shifted_tasks.HARD, n)
        for r in (0, 0.5)
        for n in (5, 20)
    }
    expected = min(risks[0, 5] / risks[0.5, 5], risks[0.5, 20] / risks[0, 20]) - 1
    assert optimal_rate_varies.advantage(case) == pytest.approx(expected)


def test_harmful_rate(factory, monkeypatch):
    """A rate that only harms is not called both."""
    case = factory.trained_seeds(1)[1]
    monkeypatch.setattr(rate_transfer, "extremes", lambda case: (0.1, 0.4))
    assert rate_transfer.both(case) < 0
    monkeypatch.setattr(rate_transfer, "extremes", lambda case: (-0.1, 0.4))
    assert rate_transfer.both(case) == 0.1


def test_global_norm(factory):
    """Global norm of the implicit gradients against the trajectory."""
    case = factory.trained_seeds(3)[0]
    tokens = case.demonstrations
    gradients = implicit_trajectory(case.model, tokens).gradient
    stack = (tokens.T @ tokens / len(tokens))[None]
    slow = math.sqrt(sum(np.linalg.norm(g) ** 2 for g in gradients))
    assert remark_5_norm.global_norms(case.model, stack)[0] == pytest.approx(slow, rel=1e-11)


def test_noisy_risk(factory):
    """The noisy risk is that of the ladder."""
    case = factory.trained_seeds(3)[1]
    assert_close(remark_3.noisy_risk(case), case.ladder().terms["population"])


def test_both_readouts(factory):
    """Both readouts of a seed against their risks."""
    (case, *_), plus = readout_trained.pairs(factory), factory.ensemble(3, readout="plus").models
    assert len(readout_trained.pairs(factory)) == 3
    found = readout_trained.risks(case)
    models = factory.trained_seeds(3)[0].model, plus.member(0)
    for model, risk, sign in zip(models, found, ("minus", "plus"), strict=True):
        expected = population_risk(model.replace(readout=sign), case.task, shots=SHOTS, samples=32768, key=1)
        assert abs(risk - expected.value) < 12 * expected.stderr  # 8192 prompts against 32768
    assert readout_trained.measure(case) == pytest.approx(np.clip(math.log(found[0] / found[1]), -0.2, 0.2))


def test_condition_numbers(factory):
    """Condition numbers against numpy."""
    case = factory.trained_seeds(3, 6)[0]
    names = ("value", "key", "query", "mlp_in", "mlp_out")
    logs = {name: np.log([np.linalg.cond(m) for m in getattr(case.model, name)]) for name in names}
    taus = [float(np.asarray(kendalltau(range(3), logs[name]))[0]) for name in names]
    assert condition_number_by_layer.smallest(case) == pytest.approx(min(taus))
    attention = np.max([logs[name] for name in ("value", "key", "query")], axis=0)
    mlp = np.max([logs[name] for name in ("mlp_in", "mlp_out")], axis=0)
    assert condition_number_by_module.log_ratio(case) == pytest.approx((mlp - attention).max(), rel=1e-6)


def test_relative_noise(factory):
    """Relative noise does not know the scale of the weights."""
    case = noise_training.cases(factory, 1)[0]
    larger = case.with_model(case.model.replace(value=3.0 * case.model.value), "three times W_V")
    for after in (False, True):
        first, second = (noise_training.traces(c, after, True) for c in (case, larger))
        assert_close(first, second)
        assert_close(noise_training.traces(larger, after, False), 9.0 * noise_training.traces(case, after, False))
