"""The numbers behind the claims on depth and truncation: quadrature against scipy and Monte Carlo, exact fractions."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.quantities import scalar_path
from icl_theory.claims.quantities.support_maps import basis_images
from icl_theory.claims.truncation.truncation_isotropic import integer_counterexample, recheck


@pytest.fixture(scope="module")
def case():
    return scalar_path.scalar_layers(CaseFactory(PROFILES["quick"], 0))[0]


def log_densities(values, means, deviations):
    z = (values[..., None] - means) / deviations
    return -0.5 * z**2 - np.log(deviations) - 0.5 * math.log(2 * math.pi)


def test_one_observation(case):
    """One observation against adaptive quadrature."""
    means, deviations = scalar_path._atoms(case.demonstrations)

    def integrand(x):
        p = np.exp(log_densities(np.array(x), means, deviations))
        return float((p * np.log(p / p.mean())).mean())

    truth = quad(integrand, -8, 10, epsabs=1e-12, limit=200)[0]
    assert scalar_path.scalar_informations(case)["path"][0] == pytest.approx(truth, rel=1e-6)


def test_path_and_chain(case):
    """Averages of exact log ratios over runs, and the order of path and chain."""
    rng, count = np.random.default_rng(0), 200_000
    means, deviations = scalar_path._atoms(case.demonstrations)
    atoms = rng.integers(len(means), size=count)
    observations = means[atoms, None] + deviations[atoms, None] * rng.standard_normal((count, 3))
    tables = [log_densities(observations[:, t], means, deviations) for t in range(3)]
    found, own = scalar_path.scalar_informations(case), np.arange(count)
    for layers in (1, 2, 3):
        total = np.sum(tables[:layers], axis=0)
        ratio = total[own, atoms] - logsumexp(total, axis=1) + math.log(len(means))
        assert abs(ratio.mean() - found["path"][layers - 1]) < 6 * ratio.std() / math.sqrt(count)
    assert found["chain"][:2].sum() == pytest.approx(found["path"][1], rel=1e-9)
    assert found["chain"].sum() > found["path"][2] * (1 + 1e-4)
    assert found["alone"] == pytest.approx(found["chain"][0], rel=1e-9)


def test_finer_grids(case, monkeypatch):
    """Finer grids change nothing."""
    coarse = scalar_path.scalar_informations(case)
    monkeypatch.setattr(scalar_path, "_STEP", 0.3)
    monkeypatch.setattr(scalar_path, "_REACH", 7.5)
    scalar_path._informations.cache_clear()
    fine = scalar_path.scalar_informations(case)
    scalar_path._informations.cache_clear()
    for name, values in coarse.items():
        np.testing.assert_allclose(values, fine[name], rtol=1e-7, err_msg=name)


def large_sample_rung(value, inner, ratio):
    """½ d [log ρ + log AM/GM] from singular values in floats, for tokens N(0, I)."""
    values = (
        np.linalg.svd(basis_images(np.array(value, dtype=float), np.array(inner, dtype=float)), compute_uv=False) ** 2
    )
    values = values[values > 1e-20 * values[0]]
    return 0.5 * len(values) * (math.log(ratio) + math.log(values.mean()) - np.log(values).mean())


def test_integer_counterexample():
    """The integer counterexample in floats and damaged."""
    found = integer_counterexample()
    value, key, query = (np.array(found[name]) for name in ("value", "key", "query"))
    before = large_sample_rung(value, key.T @ query, 4 / 3)
    after = large_sample_rung(value, key.T @ np.diag([query[0, 0], 0]), 4 / 3)
    assert after - before == pytest.approx(0.39257, abs=1e-4)
    assert recheck(found)
    for change in (
        {"query": [[3, 0], [0, 1]]},
        {"key": [[1, 0], [0, 1]]},
        {"ratio": [40, 3]},
        {"query": [[2, 0], [0, 2]]},
    ):
        assert not recheck(found | change)
