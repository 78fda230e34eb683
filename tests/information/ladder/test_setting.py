"""Which models the ladder takes, and the losses of outputs that are vectors, classes or behind a ReLU."""

import math
from typing import Any

import numpy as np
import pytest

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Model,
    OneHotClassification,
    Prompt,
    VectorRegression,
    bound_ladder,
    predict,
    random_weights,
    rank_sweep,
)
from icl_theory.information.ladder.losses import losses_of, trajectory_losses
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.rungs import RUNGS
from icl_theory.information.ladder.setting import Setting, fixed_task, ladder_model
from icl_theory.tasks import Task

LADDER: dict[str, Any] = {"demonstrations": 40, "shots": 10, "clip": 4.0, "samples": 256, "key": 3}


def relu_model(layers: int = 1, token_dim: int = 3, hidden: int = 5, **options: Any) -> Model:
    rng = np.random.default_rng(8)
    into, out = rng.standard_normal((layers, hidden, token_dim)), rng.standard_normal((layers, token_dim, hidden))
    attention = 0.6 * rng.standard_normal((3, layers, token_dim, token_dim))
    value, key, query = attention
    return Model.create(value, key, query, into, 0.4 * out, activation="relu", **options)


def test_models() -> None:
    """Linear attention with a linear MLP, or one layer with a ReLU; every other kind is refused with its reason."""
    task, plain = LinearRegression(2, noise_std=0.5), random_weights(1, layers=2, token_dim=3)
    for model, words in (
        (plain.replace(mask="causal"), "Assumption 1 has no meaning from layer 2 on"),
        (plain.replace(mask="decoder"), "with itself among the keys"),
        (plain.replace(mask="all"), "with itself among the keys"),
        (plain.replace(kind="softmax"), "infinitely many features"),
        (plain.replace(normalization="sum"), "normalization='sum'"),
        (random_weights(1, layers=1, token_dim=4), "token dimension 4"),
    ):
        with pytest.raises(ValueError, match=words):
            bound_ladder(model, task, **LADDER)
        with pytest.raises(ValueError, match=words):
            rank_sweep(model, task, **LADDER)
    attention, mlp = ladder_model(relu_model(ranks={"mlp_in": [3], "value": [3]}), task)
    assert mlp is not None
    assert attention.mlp_in is None
    assert dict(attention.ranks) == {"value": (3,)}
    assert mlp[0].shape == (1, 5, 3)
    assert ladder_model(relu_model().replace(activation="identity"), task)[1] is None


@pytest.mark.parametrize("readout", ["minus", "plus"])
@pytest.mark.parametrize(
    "task", [LinearRegression(2, noise_std=0.5), VectorRegression(2, outputs=2, noise_std=0.3)], ids=["one", "two"]
)
def test_predictions(readout: Any, task: Task) -> None:
    """Without noise the update is that of the forward pass, so the losses are those of `predict` on its own tokens."""
    for model in (
        relu_model(token_dim=task.token_dim),
        random_weights(1, layers=2, token_dim=task.token_dim, scale=0.6),
    ):
        given = model.replace(readout=readout)
        setting, _ = fixed_task(given, task, demonstrations=12, shots=4, samples=16, key=3, task_vector=None)
        draws = draw(setting, np.random.default_rng(2), 5)
        quiet = np.repeat(draws.moments[:, None], setting.model.layers, axis=1)
        last = simulate(setting, type(draws)(**{**vars(draws), "observations": quiet})).accumulated
        fresh = setting.law.sample(np.random.default_rng(4), 5, 12) @ setting.basis.T
        draws = type(draws)(**{**vars(draws), "unseen": fresh})
        found = trajectory_losses(setting, last, draws, 2.0, "clipped_squared")
        for values, asked in zip(found, (fresh, draws.tokens), strict=True):
            for run in range(5):
                expected = [min(float(e), 2.0) for e in errors(given, draws.tokens[run], asked[run], task)]
                assert values[run] == pytest.approx(np.mean(expected), rel=1e-10)


def errors(model: Model, shown: np.ndarray, asked: np.ndarray, task: Task) -> np.ndarray:
    """|ŷ - y|² of every token asked, from the forward pass."""
    count, size = len(asked), task.dim
    labels = shown[:, size:] if task.outputs > 1 else shown[:, size]
    x, y = (np.repeat(a[None], count, axis=0) for a in (shown[:, :size], labels))
    target = asked[:, size:] if task.outputs > 1 else asked[:, size]
    guess = predict(model, Prompt(x, y, asked[:, :size], target))
    return ((guess - target) ** 2).reshape(count, -1).sum(1)


def test_relu_ladder() -> None:
    """The information is that of the attention's update; the readout reads all of it, for the ReLU mixes its rows."""
    task, model = LinearRegression(2, noise_std=0.5), relu_model()
    w = np.array([0.7, -1.1])
    found = bound_ladder(model, task, task_vector=w, **LADDER)
    attention = bound_ladder(Model.create(model.value, model.key, model.query), task, task_vector=w, **LADDER)
    assert found.support == attention.support == (6,)
    assert "data processing" in found.notes[0]
    for name in ("gaussian", "isotropic", "theorem_2_repaired"):
        assert found.information[name] == attention.information[name]
    # Three rows of two columns of a 3 x 3 matrix with six degrees of freedom, instead of one row.
    assert attention.information["readout"].value < found.information["readout"].value
    assert found.information["readout"].value <= found.information["mutual_information"].value + 0.05
    assert abs(found.gap.value) < found.rungs["readout"].value
    options: dict[str, Any] = {**LADDER, "task_vector": w}
    entries = rank_sweep(model, task, **options, modules=["mlp", "value"], ranks=[1, 3])
    by_place = {(e["module"], e["rank"]): e for e in entries}
    assert by_place["mlp", 1]["rungs"]["gaussian"] == by_place["mlp", 3]["rungs"]["gaussian"]
    assert by_place["mlp", 1]["population_loss"] != by_place["mlp", 3]["population_loss"]
    assert by_place["value", 1]["support"] == [3]


def test_losses() -> None:
    """Squares summed over outputs and clipped; the sign; the class, ties counting in parts."""
    guess = np.array([[1.0, 2.0, 2.0], [3.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    label = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(losses_of(guess, label, 5.5, "clipped_squared"), [5.5, 5.0, 1.0])
    np.testing.assert_allclose(losses_of(guess, label, 5.5, "zero_one"), [0.5, 0.0, 2 / 3])
    one = losses_of(np.array([[2.0], [-1.0], [0.0]]), np.array([[1.0], [1.0], [-1.0]]), 1.0, "zero_one")
    np.testing.assert_allclose(one, [0.0, 1.0, 0.5])


def test_classification() -> None:
    """The 0-1 loss of a sign is an angle over π, and q + (1 - 2q) of it with labels that flip."""
    task, w = LinearClassification(2, flip_probability=0.1), np.array([0.7, -1.1])
    model = random_weights(1, layers=1, token_dim=3, scale=0.6)
    options: dict[str, Any] = {**LADDER, "samples": 2000, "loss": "zero_one"}
    found = bound_ladder(model, task, task_vector=w, **options)
    assert found.trivial == 1.0
    setting, seed = fixed_task(model, task, demonstrations=40, shots=10, samples=2000, key=3, task_vector=w)
    p = -simulate(setting, draw(setting, np.random.default_rng(seed), 2000)).accumulated[:, -1, :2]
    angle = np.arccos(p @ w / np.linalg.norm(p, axis=1) / np.linalg.norm(w)) / np.pi
    exact = 0.1 + 0.8 * angle.mean()
    assert abs(found.population_loss.value - exact) < 6 * found.population_loss.stderr < 0.1 * exact
    assert found.support == (5,)  # y² = 1
    for name in RUNGS:
        assert found.rungs[name].value > found.gap.value - 6 * found.gap.stderr
        if math.isfinite(found.rungs[name].value):
            assert found.kl_rungs[name].value <= found.rungs[name].value + 1e-12


def test_class_labels() -> None:
    """Classes by the largest output, with a floor; other vectors have no 0-1 loss."""
    options: dict[str, Any] = {**LADDER, "floor": 0.01, "loss": "zero_one", "samples": 64}
    found = bound_ladder(
        random_weights(1, layers=1, token_dim=5, scale=0.5), OneHotClassification(2, classes=3), **options
    )
    assert 0 < found.population_loss.value < 1
    assert found.support == (11,)
    with pytest.raises(ValueError, match="no classes"):
        bound_ladder(random_weights(1, layers=1, token_dim=4), VectorRegression(2, outputs=2), **options)


def test_readout_of_vectors() -> None:
    """Two outputs read two rows: the information is more than that of either alone, and less than that of W."""
    task = VectorRegression(2, outputs=2, noise_std=0.5)
    options: dict[str, Any] = {**LADDER, "samples": 1024}
    found = bound_ladder(random_weights(1, layers=1, token_dim=4, scale=0.6), task, **options)
    info = found.information
    assert info["readout"].value < info["mutual_information"].value
    assert found.gap.value < found.rungs["readout"].value


def test_laws_of_a_setting() -> None:
    """Another model in the same setting keeps the law, and the seed of the runs does not depend on the model."""
    task = LinearRegression(2, noise_std=0.5)
    options: dict[str, Any] = {"demonstrations": 12, "shots": 4, "samples": 16, "key": 3, "task_vector": None}
    setting, seed = fixed_task(random_weights(1, layers=1, token_dim=3), task, **options)
    other = setting.with_model(relu_model())
    assert other.law is setting.law
    assert other.mlp is not None
    assert fixed_task(relu_model(), task, **options)[1] == seed
    with pytest.raises(ValueError, match="softmax"):
        setting.with_model(random_weights(1, layers=1, token_dim=3).replace(kind="softmax"))
    given = Setting(setting.model, task, np.ones(2), 12, 4)
    assert given.covariance == pytest.approx(task.token_covariance(np.ones(2)), rel=1e-14)
