"""The ladder behind several ReLUs: a ReLU that undoes itself, the divergence by its definition, the forward pass."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Model,
    Prompt,
    Uniform,
    VectorRegression,
    bound_ladder,
    high_probability_bound,
    predict,
    random_weights,
    rank_sweep,
    shared_subsets,
    truncate_weights,
)
from icl_theory.core.symmetric import outer_coordinates
from icl_theory.information.ladder import relu_path
from icl_theory.information.ladder.losses import trajectory_losses
from icl_theory.information.ladder.noisy_trajectory import Batches, draw
from icl_theory.information.ladder.setting import fixed_task
from icl_theory.noise.multi_head_support import support_of
from icl_theory.tasks import Task

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])
UNIFORM = LinearRegression(2, noise_std=0.5, inputs=Uniform())
LADDER: dict[str, Any] = {"demonstrations": 40, "shots": 10, "clip": 4.0, "samples": 256, "key": 3, "task_vector": W}


def with_relus(model: Model, into: np.ndarray, out: np.ndarray) -> Model:
    layers = model.layers
    return model.replace(
        mlp_in=np.repeat(into[None], layers, 0), mlp_out=np.repeat(out[None], layers, 0), activation="relu"
    )


def undone(model: Model) -> Model:
    """The same function with a ReLU MLP: max(u, 0) - max(-u, 0) = u."""
    eye = np.eye(model.token_dim)
    return with_relus(model, np.concatenate([eye, -eye]), np.concatenate([eye, -eye], axis=1))


def random_relus(layers: int, token_dim: int) -> Model:
    rng = np.random.default_rng(8)
    return with_relus(
        random_weights(2, layers=layers, token_dim=token_dim, scale=0.6),
        rng.standard_normal((5, token_dim)),
        0.4 * rng.standard_normal((token_dim, 5)),
    )


def heads() -> Model:
    matrices = 0.4 * np.random.default_rng(2).standard_normal((3, 2, 2, 3, 3))
    return Model.create(*matrices, heads=2)


MODELS = {
    "plain": lambda: random_weights(2, layers=3, token_dim=3, scale=0.5),
    "cut": lambda: truncate_weights(MODELS["plain"](), layer=1, module="value", rank=2),
    "heads": heads,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("floor", [0.0, 0.02])
def test_relu_that_undoes_itself(name: str, floor: float) -> None:
    """The updates, their noise and every loss on the demonstrations are those of the linear model, run by run.

    Its Gaussian rung has the same prior in closed form: the push-forward of N(Σ_w, Cov(h hᵀ)/b).
    """
    linear = MODELS[name]()
    one, two = (bound_ladder(model, TASK, floor=floor, **LADDER) for model in (linear, undone(linear)))
    assert one.support == two.support
    if floor == 0:  # with one the floor's noise is put on W_t - W_{t-1}, or on ΔW_t
        seen = [ladder.terms["population"] - ladder.terms["gap"] for ladder in (one, two)]
        np.testing.assert_allclose(seen[0], seen[1], rtol=1e-9)
    for rung in ("gaussian", "isotropic", "isotropic_zero") if floor == 0 else ():
        known, found = one.information[rung], two.information[rung]
        if rung == "gaussian":
            error = math.hypot(known.stderr, found.stderr)
            assert abs(known.value - found.value) < 6 * error < 0.3 * known.value
        # In units of ΔW_t instead of W_t - W_{t-1} the isotropic rungs are others; below them is what is sharper.
        assert two.information["gaussian"].value < found.value + 1e-9
    assert abs(one.population_loss.value - two.population_loss.value) < 6 * math.hypot(
        one.population_loss.stderr, two.population_loss.stderr
    )


def prepared(model: Model, task: Task, floor: float = 0.0, samples: int = 16) -> tuple[Any, Any, Any]:
    options: dict[str, Any] = {"demonstrations": 40, "shots": 10, "samples": samples, "key": 3, "task_vector": None}
    setting, seed = fixed_task(model, task, floor=floor, **options)
    return setting, next(iter(Batches(setting, seed, samples))), seed


@pytest.mark.parametrize("floor", [0.0, 0.03])
@pytest.mark.parametrize("task", [TASK, UNIFORM], ids=["gaussian", "uniform"])
def test_divergence(task: Task, floor: float) -> None:
    """KL of two normal laws of vec ΔW_t, every layer and run written out, with the prior's tokens moved one by one."""
    model = truncate_weights(random_relus(2, 3), layer=1, module="key", rank=1)
    setting, draws, _ = prepared(model, task, floor)
    found = relu_path.collect(setting, [draws])
    updates, total = found.outputs[0][0], found.path[0]
    rng = np.random.default_rng([relu_path._SEED, relu_path._FRESH])
    fresh = setting.law.sample(rng, 1, relu_path._FRESH)[0] @ setting.basis.T
    for run in range(4):
        expected, tokens, others = 0.0, draws.tokens[run], fresh
        for layer in range(2):
            left, right = model.value[layer], model.key[layer].T @ model.query[layer]
            laws = []
            for points, factor in ((tokens, (40 - 10) / (10 * 39)), (others, 1 / 10)):
                g = np.einsum("ni,nj->nij", points @ left.T, points @ right).reshape(len(points), -1)
                spread = factor * np.cov(g.T, bias=points is tokens)
                laws.append((g.mean(axis=0), spread))
            basis = np.linalg.svd(laws[1][1])[0][:, : found.dimensions[layer]]
            (m, c), (mean, k) = ((basis.T @ a, basis.T @ b @ basis + floor * np.eye(basis.shape[1])) for a, b in laws)
            inverse = np.linalg.inv(k)
            expected += 0.5 * (np.trace(inverse @ c) + (m - mean) @ inverse @ (m - mean) - len(m))
            expected += 0.5 * (np.linalg.slogdet(k)[1] - np.linalg.slogdet(c)[1])
            tokens, others = (
                h + np.maximum(h @ updates[run, layer].T @ model.mlp_in[layer].T, 0) @ model.mlp_out[layer].T
                for h in (tokens, others)
            )
        assert total[run] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("task", [TASK, VectorRegression(2, outputs=2, noise_std=0.3)], ids=["one", "two"])
def test_forward_pass(task: Task) -> None:
    """Without noise the losses are those of `predict`, the query masked, on the run's own and on fresh tokens."""
    model = random_relus(3, task.token_dim).replace(readout="plus")
    setting, draws, _ = prepared(model, task)
    quiet = replace(draws, mix=np.zeros_like(draws.mix))
    updates, _ = relu_path.collect(setting, [quiet]).outputs[0]
    found = trajectory_losses(setting, updates, quiet, 2.0, "clipped_squared")
    for values, asked in zip(found, (draws.unseen, draws.tokens), strict=True):
        for run in range(3):
            shown, count = draws.tokens[run], len(asked[run])
            x, labels = (np.repeat(a[None], count, 0) for a in (shown[:, :2], shown[:, 2:]))
            target = asked[run][:, 2:]
            if task.outputs == 1:
                labels, target = labels[..., 0], target[:, 0]
            guess = predict(model, Prompt(x, labels, asked[run][:, :2], target))
            squares = ((guess - target) ** 2).reshape(count, -1).sum(1)
            assert values[run] == pytest.approx(np.minimum(squares, 2.0).mean(), rel=1e-9)


@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_noise(floor: float) -> None:
    """Updates scatter around their noise-free value with the sampling covariance of subsets, layer by layer."""
    model = random_relus(1, 3)
    setting, draws, _ = prepared(model, TASK, floor)
    tokens = np.repeat(draws.tokens[:1], 4000, axis=0)
    mix = np.random.default_rng(5).standard_normal((4000, 1, 40))
    extra = np.random.default_rng(6).standard_normal((4000, int(floor > 0), 3, 3))
    many = replace(draws, tokens=tokens, mix=mix, extra=extra)
    updates = relu_path.collect(setting, [many]).outputs[0][0][:, 0].reshape(4000, -1)
    left, right = model.value[0], model.key[0].T @ model.query[0]
    g = np.einsum("ni,nj->nij", tokens[0] @ left.T, tokens[0] @ right).reshape(40, -1)
    units = support_of(left, right).embed(np.eye(6)).reshape(6, -1)
    exact = (40 - 10) / (10 * 39) * np.cov(g.T, bias=True) + floor * units.T @ units
    found = np.cov(updates.T)
    np.testing.assert_allclose(found, exact, atol=6 * np.diag(exact).max() * math.sqrt(2 / 4000))
    error = np.sqrt(np.diag(exact) / 4000)
    assert (np.abs(updates.mean(0) - g.mean(0)) < 6 * error).all()


def test_ladder() -> None:
    """Every bound is above the gap, sharper rungs below the isotropic ones, and what stands for what is said."""
    found = bound_ladder(random_relus(2, 3), TASK, **LADDER)
    info = found.information
    assert info["gaussian"].value < info["isotropic"].value < info["isotropic_zero"].value
    assert info["isotropic_zero"].value < info["theorem_2_repaired"].value
    assert "simulated" in info["readout"].note
    assert len(found.notes) == 2
    assert found.sandwich.lower.value == 0.0
    for name, rung in found.rungs.items():
        assert rung.value > found.gap.value - 6 * found.gap.stderr
        assert not math.isfinite(rung.value) or found.kl_rungs[name].value <= found.trivial
    few = bound_ladder(random_relus(2, 3), TASK, **{**LADDER, "demonstrations": 6, "shots": 2})
    assert {rung.value for rung in few.rungs.values()} == {math.inf}
    assert "below d_S = 6" in few.rungs["gaussian"].note
    entries = rank_sweep(random_relus(2, 3), TASK, **LADDER, layer_indices=[1], modules=["mlp", "value"], ranks=[1, 3])
    assert [entry["support"] for entry in entries] == [[6, 6], [6, 6], [6, 3], [6, 6]]
    assert entries[2]["rungs"]["gaussian"]["value"] < entries[3]["rungs"]["gaussian"]["value"]


def test_refusals() -> None:
    """Clean labels, labels of constant size, a single run, shared subsets, and tokens that overflow."""
    model = random_relus(2, 3)
    options: dict[str, Any] = {**LADDER, "task_vector": None}
    for task in (LinearRegression(2), LinearClassification(2)):
        with pytest.raises(ValueError, match="several ReLU layers"):
            bound_ladder(model, task, **options)
    with pytest.raises(ValueError, match="a ReLU MLP in 2 layers"):
        high_probability_bound(model, TASK, **LADDER)
    for relus in (model, random_relus(1, 3)):
        with pytest.raises(ValueError, match="a ReLU MLP"):
            shared_subsets(relus, TASK, **LADDER)
    with pytest.raises(ValueError, match="beyond the range of float64"):
        bound_ladder(model.replace(mlp_out=1e200 * model.mlp_out), TASK, **LADDER)


def test_prior_of_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces of bounded memory as in one, and a root of Cov svec(h hᵀ) / b for every run."""
    setting, _, _ = prepared(random_relus(2, 3), TASK)
    fresh = np.random.default_rng(0).standard_normal((5, 200, 3))
    whole = relu_path._prior(setting, fresh)
    monkeypatch.setattr(relu_path, "_CHUNK_ENTRIES", 1)
    for a, b in zip(whole, relu_path._prior(setting, fresh), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    for run in range(5):
        features = outer_coordinates(fresh[run])
        np.testing.assert_allclose(whole[0][run], features.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(whole[1][run] @ whole[1][run].T, np.cov(features.T) / 10, rtol=1e-9, atol=1e-12)
    assert draw(setting, np.random.default_rng(1), 3).mix.shape == (3, 2, 40)
