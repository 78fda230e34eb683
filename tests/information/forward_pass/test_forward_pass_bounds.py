"""Bounds on the forward pass itself: above the gap, which token by token is the same; ranks, depth, subsets, errors."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import error_message

from icl_theory import (
    LinearRegression,
    Model,
    forward,
    forward_pass_bounds,
    gradient_descent_weights,
    one_layer_optimum,
    random_weights,
    truncate_weights,
)
from icl_theory.information.forward_pass.bounds import ForwardPassBounds
from icl_theory.information.forward_pass.single_token import readout_information, second_moment_information
from icl_theory.information.ladder.losses import population_loss
from icl_theory.information.ladder.token_law import token_root

TASK = LinearRegression(3, noise_std=0.5)
W = np.array([1.0, -0.5, 0.3])


def bounds(model: Model, **changes: Any) -> ForwardPassBounds:
    options: dict[str, Any] = {"demonstrations": 20, "clip": 4.0, "samples": 512, "key": 1, "task_vector": W}
    return forward_pass_bounds(model, TASK, **(options | changes))


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("loss", ["clipped_squared", "zero_one"])
def test_above_the_gap(layers: int, loss: Any) -> None:
    """Every rung, in both forms, for models of any depth."""
    for seed in range(3):
        found = bounds(random_weights(seed, layers=layers, token_dim=4, scale=1.0), loss=loss)
        for rungs in (found.rungs, found.kl_rungs):
            assert all(bound.value >= found.gap.value - 6 * found.gap.stderr for bound in rungs.values())
        assert all(found.kl_rungs[name].value <= found.rungs[name].value for name in found.rungs)
        assert all(bound.value < found.trivial for bound in found.kl_rungs.values())
        assert set(found.rungs) == {"wishart"} | ({"wishart_readout"} if layers == 1 else set())


def test_gap_token_by_token() -> None:
    """The gap from the definition: every demonstration as a query of the forward pass, one by one."""
    model, runs = random_weights(3, layers=2, token_dim=4, scale=1.0), 40
    found = bounds(model, samples=runs, demonstrations=6)
    rng = np.random.default_rng(1)
    TASK.sample_tasks(rng, 1)
    tokens = TASK.sample_tokens(rng, np.broadcast_to(W, (runs, 3)), 6)
    gaps, seen = [], []
    for demonstrations in tokens:
        p = np.array([-forward(model, demonstrations, [*unit, 0.0])[-1] for unit in np.eye(3)])
        losses = [min((p @ h[:-1] - h[-1]) ** 2, 4.0) for h in demonstrations]
        seen.append(np.mean(losses))
        gaps.append(population_loss(p[None], TASK, W, 4.0)[0] - np.mean(losses))
    assert found.gap.value == pytest.approx(np.mean(gaps), rel=1e-9)
    assert found.gap.stderr == pytest.approx(np.std(gaps, ddof=1) / math.sqrt(runs), rel=1e-9)
    assert found.empirical_loss.value == pytest.approx(np.mean(seen), rel=1e-9)


def test_ranks_of_key_and_value() -> None:
    """The readout rung follows the rank of W_K and ignores that of W_V; the Wishart rung ignores both."""
    model = random_weights(1, layers=1, token_dim=4, scale=1.0)

    def nats(module: Any, rank: int) -> dict[str, float]:
        cut = truncate_weights(model, layer=0, module=module, rank=rank)
        return {name: value.value for name, value in bounds(cut, samples=16).information.items()}

    keys, values = ([nats(module, rank) for rank in (4, 3, 2, 1)] for module in ("key", "value"))
    readout = [found["wishart_readout"] for found in keys]
    assert readout[1] > readout[2] > readout[3]
    assert readout[3] == pytest.approx(1 / 40, rel=0.15)
    # The label row of a truncated W_V reads another direction, so that only ρ² changes.
    low, high = readout_information(20, 3), readout_information(20, 3, 1 - 1e-6)
    assert all(low <= found["wishart_readout"] <= high for found in values)
    assert len({found["wishart"] for found in (*keys, *values)}) == 1


def test_gradient_step() -> None:
    """A step of gradient descent reads x and y: ρ² is the share of y that x explains."""
    found = bounds(gradient_descent_weights(3), samples=16)
    share = float(W @ W / (W @ W + 0.25))
    assert found.information["wishart_readout"].value == pytest.approx(readout_information(20, 3, share), rel=1e-9)
    assert found.information["wishart"].value == second_moment_information(20, 4)
    assert found.rungs["wishart"].value == pytest.approx(2 * math.sqrt(2 * second_moment_information(20, 4)))


def test_readout_by_samples() -> None:
    """k and g of random weights from tokens: the rank of k, and the share of g that k explains by least squares."""
    model = random_weights(5, layers=1, token_dim=4, scale=1.0)
    tokens = TASK.sample_tokens(np.random.default_rng(0), W[None], 200_000)[0]
    k = tokens @ (model.query[0].T @ model.key[0])[:-1].T
    g = tokens @ model.value[0, -1]
    rest = g - k @ np.linalg.lstsq(k, g, rcond=None)[0]
    share = float(1 - rest @ rest / (g @ g))
    found = bounds(model, samples=16).information["wishart_readout"].value
    assert found == pytest.approx(readout_information(20, 3, share), rel=1e-3)


def test_random_subset() -> None:
    """A subset of b of N demonstrations: gap and bounds are b/N times those of b demonstrations alone."""
    model = random_weights(2, layers=2, token_dim=4)
    part, alone = bounds(model, demonstrations=50, shots=10), bounds(model, demonstrations=10)
    assert part.gap.value == pytest.approx(alone.gap.value / 5, rel=1e-12)
    assert part.gap.stderr == pytest.approx(alone.gap.stderr / 5, rel=1e-12)
    for name in part.rungs:
        assert part.rungs[name].value == pytest.approx(alone.rungs[name].value / 5, rel=1e-12)
        assert part.kl_rungs[name].value == pytest.approx(alone.kl_rungs[name].value / 5, rel=1e-12)
        assert part.tightness[name] == pytest.approx(alone.tightness[name], rel=1e-12)


def test_subset_gap_by_definition() -> None:
    """The dilution from its definition: the loss over all N demonstrations, of which a random b were shown."""
    rng, runs, count, shown = np.random.default_rng(4), 3000, 12, 4
    tokens = TASK.sample_tokens(rng, np.broadcast_to(W, (runs, 3)), count)
    step = np.einsum("rnd,rn->rd", tokens[:, :shown, :-1], tokens[:, :shown, -1]) / shown
    errors = np.minimum((np.einsum("rnd,rd->rn", tokens[..., :-1], step) - tokens[..., -1]) ** 2, 4.0)
    gaps = population_loss(step, TASK, W, 4.0) - errors.mean(axis=1)
    found = bounds(gradient_descent_weights(3), demonstrations=count, shots=shown, samples=runs)
    assert abs(gaps.mean() - found.gap.value) < 6 * math.hypot(gaps.std() / math.sqrt(runs), found.gap.stderr)


def test_token_root() -> None:
    """F Fᵀ is the covariance of a token; noise-free labels and empty directions take a column away."""
    task = LinearRegression(3, np.diag([2.0, 1.0, 0.0]), noise_std=0.3)
    root = token_root(task, W)
    np.testing.assert_allclose(root @ root.T, task.token_covariance(W), atol=1e-15)
    assert root.shape == (4, 3)
    assert token_root(LinearRegression(3), W).shape == (4, 3)


def test_few_demonstrations() -> None:
    """With N - 1 < D the Wishart rung is infinite, with the reason; the readout rung is not."""
    found = bounds(one_layer_optimum(TASK, shots=4)[0], demonstrations=4)
    assert found.rungs["wishart"].value == found.kl_rungs["wishart"].value == math.inf
    assert "N - 1 = 3 is below D = 4" in found.rungs["wishart"].note
    assert found.kl_rungs["wishart_readout"].value < 4


def test_models_that_read_little() -> None:
    """A model that predicts 0 learns nothing; one whose label row reads what the query reads has no readout bound."""
    zero = bounds(random_weights(0, layers=1, token_dim=4, scale=0.0))
    assert zero.information["wishart_readout"].value == zero.rungs["wishart_readout"].value == 0.0
    clean = forward_pass_bounds(
        gradient_descent_weights(3), LinearRegression(3), demonstrations=9, clip=4.0, samples=16, task_vector=W
    )
    assert clean.rungs["wishart_readout"].value == math.inf
    assert math.isfinite(clean.rungs["wishart"].value)


def test_errors() -> None:
    """Models and options outside of the bounds, and ranks that rounding would decide."""
    model = random_weights(0, layers=1, token_dim=4)
    assert "linear attention" in error_message(bounds, model.replace(kind="softmax"))
    assert "with_mean" in error_message(bounds, model.replace(normalization="sum"))
    assert "shots" in error_message(bounds, model, shots=21)
    assert "demonstrations" in error_message(bounds, model, demonstrations=1)
    assert "clip" in error_message(bounds, model, clip=0.0)
    key = np.diag([1.0, 1.0, 1e-11, 1.0])[None]
    assert "clearly zero" in error_message(bounds, model.replace(key=key, query=np.eye(4)[None]))
