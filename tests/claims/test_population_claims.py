"""What the claims about populations compute, on hardly trained models: each against a second method."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_close, assert_mean

from icl_theory import implicit_trajectory, population_risk
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import SHOTS
from icl_theory.claims.engine.profiles import Profile
from icl_theory.claims.noise import noise_training, remark_3
from icl_theory.claims.quantities import prompt_errors, shifted_tasks
from icl_theory.claims.training import readout_trained
from icl_theory.claims.trajectory import remark_5_norm
from icl_theory.claims.truncation import task_rank


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


def test_relative_noise(factory):
    """Relative noise does not know the scale of the weights."""
    case = noise_training.cases(factory, 1)[0]
    larger = case.with_model(case.model.replace(value=3.0 * case.model.value), "three times W_V")
    for after in (False, True):
        first, second = (noise_training.traces(c, after, True) for c in (case, larger))
        assert_close(first, second)
        assert_close(noise_training.traces(larger, after, False), 9.0 * noise_training.traces(case, after, False))


def test_task_rank(monkeypatch):
    """Exact risks at a rank against those of a model whose product is cut by hand; the spectrum by numpy."""
    monkeypatch.setattr(task_rank, "_STEPS", 30)
    profile = Profile(seeds=1, samples=64, steps={1: 30, 3: 30}, scalar_samples=1000, trained_seeds=2)
    case = task_rank.cases(CaseFactory(profile, 6))[1]
    product = case.model.key[0].T @ case.model.query[0]
    u, values, vt = np.linalg.svd(product)
    assert task_rank.spectral_gap(case) == pytest.approx(values[3] / values[2])
    cut = case.model.replace(key=np.eye(11)[None], query=((u[:, :3] * values[:3]) @ vt[:3])[None])
    risks = [population_risk(model, case.task, shots=20).value for model in (cut, case.model)]
    assert task_rank.rise(case) == pytest.approx(risks[0] / risks[1] - 1, rel=1e-6)
    assert task_rank.rise(case, 11) == 0.0
    assert np.linalg.matrix_rank(case.task.task_covariance) == 3
