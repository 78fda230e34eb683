"""Training against the closed-form optimum, its random numbers against the task's, and its promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_training import small

from icl_theory.models.constructions import one_layer_optimum
from icl_theory.models.model import Readout
from icl_theory.risk.population import population_risk
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.config import CheckedConfig
from icl_theory.training.prompt_sources import MomentSource, moments_of
from icl_theory.training.state import State
from icl_theory.training.train import TrainResult, _result, train

DIM, SHOTS = 5, 20


def risks(result: TrainResult, task: LinearRegression, shots: int = SHOTS) -> np.ndarray:
    members = (result.models.member(s) for s in range(result.config.seeds))
    return np.array([population_risk(m, task, shots=shots).value for m in members])


ANISOTROPIC = np.diag([4.0, 2.0, 1.0, 0.5, 0.1])


@pytest.mark.parametrize(
    ("task", "readout"),
    [
        (LinearRegression(DIM), "minus"),
        (LinearRegression(DIM, noise_std=0.5), "plus"),
        (LinearRegression(DIM, ANISOTROPIC, noise_std=0.5), "minus"),
    ],
)
def test_one_layer_optimum(task: LinearRegression, readout: Readout) -> None:
    """One layer reaches the optimum."""
    result = train(task, 0, layers=1, shots=SHOTS, readout=readout)
    excess = risks(result, task) / one_layer_optimum(task, shots=SHOTS)[1] - 1
    assert (excess < 0.02).all()
    assert (excess > 0).all()  # no one-layer model is better than the optimum
    # The reported losses estimate the same risk: the last tenth, where the weights hardly move.
    last = result.losses[:, -100:].mean(1)
    stderr = result.losses[:, -100:].std(1, ddof=1) / 10
    assert (np.abs(last - risks(result, task)) < 6 * stderr).all()


def test_three_layers_beat_one() -> None:
    """Three layers beat every one layer model."""
    task = LinearRegression(DIM, noise_std=0.5)
    result = train(task, 0, layers=3, shots=SHOTS, seeds=4, steps=500)
    assert (risks(result, task) < 0.25 * one_layer_optimum(task, shots=SHOTS)[1]).all()
    assert not result.diverged.any()


def test_early_stop() -> None:
    """Early stop at the first border that is near enough."""
    task, records = LinearRegression(DIM), []
    result = train(task, 0, layers=1, shots=SHOTS, steps=400, stop_excess=0.05, observe=records.append)
    optimum = one_layer_optimum(task, shots=SHOTS)[1]
    assert result.losses.shape == (8, records[-1].step)
    assert records[-1].step < 200
    assert [max(record.excess) <= 0.05 for record in records] == [False] * (len(records) - 1) + [True]
    np.testing.assert_allclose(records[-1].excess, risks(result, task) / optimum - 1, rtol=1e-9, atol=1e-12)
    assert {record.optimum for record in records} == {optimum}
    assert records[0].losses == pytest.approx(result.losses[:, : records[0].step].mean(1).tolist(), rel=1e-5)


def test_excess_without_optimum() -> None:
    """No excess where the optimum is unknown."""
    records = []
    small(observe=records.append)
    assert {(record.optimum, record.excess) for record in records} == {(None, None)}


def test_diverged_never_stop() -> None:
    """Members that diverge never stop the run."""
    records = []
    result = small(observe=records.append, layers=1, learning_rate=1e12, stop_excess=0.1)
    assert min(records[-1].excess) > 1e30
    assert result.losses.shape == (3, 23)


@pytest.mark.parametrize(
    "task",
    [
        LinearRegression(3, np.diag([1.0, 1, 0])),
        LinearRegression(3, None, np.zeros((3, 3))),
    ],
)
def test_stop_without_optimum(task: LinearRegression) -> None:
    """Early stop raises an error where the optimum is unknown."""
    with pytest.raises(ValueError, match=r"stop_excess.*known"):
        train(task, 0, layers=1, shots=5, stop_excess=0.1)


def test_few_shots() -> None:
    """Fewer shots than dimensions."""
    task = LinearRegression(DIM, noise_std=0.3)
    result = train(task, 0, layers=1, shots=3, seeds=4, steps=600)
    excess = risks(result, task, 3) / one_layer_optimum(task, shots=3)[1] - 1
    assert (excess < 0.02).all()


def assert_same(a: TrainResult, b: TrainResult) -> None:
    np.testing.assert_array_equal(a.losses, b.losses)
    jax.tree.map(np.testing.assert_array_equal, a.models, b.models)


def test_same_key_same_result() -> None:
    """Same key same result and shapes."""
    first = small()
    assert_same(first, small())
    assert_same(small(jax.random.key(4)), small(jax.random.key(4)))
    assert not np.array_equal(first.losses, small(1).losses)
    assert first.config == CheckedConfig(layers=2, shots=7, steps=23, seeds=3, batch=8, learning_rate=0.02)
    assert first.losses.shape == (3, 23)
    assert first.losses.dtype == np.float32
    for matrix in (first.models.value, first.models.key, first.models.query):
        assert isinstance(matrix, np.ndarray)
        assert matrix.shape == (3, 2, 4, 4)
        assert matrix.dtype == np.float32
    assert first.models.seeds == 3


def test_progress() -> None:
    """Progress sees everything and changes nothing."""
    calls: list[tuple[str, int, int]] = []
    watched = small(progress=lambda *args: calls.append(args))
    assert_same(watched, small())
    steps = [step for _, step, _ in calls]
    assert steps == sorted(set(steps))
    assert steps[-1] == 23
    assert {total for _, _, total in calls} == {23}
    edges = [0, *steps]
    for (text, _, _), low, high in zip(calls, edges, edges[1:], strict=False):
        assert text == f"training, loss {watched.losses[:, low:high].mean():.3f}"


def test_diverged_members() -> None:
    """Diverged members are marked not raised."""
    result = small(learning_rate=1e12)
    assert result.diverged.all()
    assert result.diverged.shape == (3,)
    assert not small().diverged.any()


def test_what_counts_as_diverged() -> None:
    """Of the last tenth of 40 losses, four numbers, two lost are too many, one is not; earlier ones do not count."""
    config = small().config
    model = jax.tree.map(np.array, small(seeds=6).models)
    losses = np.ones((40, 6), np.float32)
    losses[-1:, 1] = np.nan
    losses[-2:, 2] = np.inf
    losses[-3:, 3] = np.nan
    losses[:36, 4] = np.nan
    model.key[5, 1, 2, 0] = np.inf
    state = State(40, model, None, {}, losses, [])
    assert _result(state, config).diverged.tolist() == [False, False, True, True, False, True]


def test_jax_configuration() -> None:
    """Jax configuration is left alone."""
    before = jnp.ones(1).dtype
    small()
    assert jnp.ones(1).dtype == before


@pytest.mark.parametrize("shots", [3, 5, 9])
def test_law_of_drawn_moments(shots: int) -> None:
    """Mean of S and of products of its entries, against S made from tokens of the same task distribution."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((DIM, DIM))
    task = LinearRegression(DIM, a @ a.T / DIM, np.diag([2.0, 1.0, 1.0, 0.5, 0.0]), noise_std=2.0)
    draw = MomentSource(task, shots).draw(rng, (20_000,))
    s = np.asarray(moments_of(draw, np.float32(task.input_root), np.float32(2.0), shots), dtype=np.float64)
    w = draw["w"].astype(np.float64)
    w_token = task.sample_tasks(rng, 20_000)
    tokens = task.sample_tokens(rng, w_token, shots)
    s_token = np.einsum("bni,bnj->bij", tokens, tokens) / shots

    def statistics(s: np.ndarray, w: np.ndarray) -> np.ndarray:
        upper = s[:, *np.triu_indices(DIM + 1)]
        cross = s[:, :-1, -1] * w  # ties S to its own w
        return np.concatenate([upper, upper**2, np.sqrt(np.abs(upper)), cross], axis=1)

    ours, theirs = statistics(s, w), statistics(s_token, w_token)
    error = np.hypot(ours.std(0, ddof=1), theirs.std(0, ddof=1)) / np.sqrt(20_000)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) <= 6 * error + 1e-7).all()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"layers": 0}, "layers"),
        ({"shots": 0}, "shots"),
        ({"steps": 0}, "steps"),
        ({"seeds": 0}, "seeds"),
        ({"batch": 2.5}, "batch"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"init_scale": 0.0}, "init_scale"),
        ({"clip_norm": float("nan")}, "clip_norm"),
        ({"readout": "times"}, "readout"),
        ({"stop_excess": 0.01}, "2 layers, expected a run whose optimum is known"),
        ({"stop_excess": 0.0, "layers": 1}, "stop_excess"),
        ({"key": "zero"}, "key"),
    ],
)
def test_refusals(changes: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        small(**changes)


@pytest.mark.parametrize(
    "world",
    [
        lambda: jax.enable_x64(True),
        lambda: jax.numpy_dtype_promotion("strict"),
        lambda: jax.numpy_rank_promotion("raise"),
    ],
    ids=["x64", "strict types", "strict ranks"],
)
@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_whatever_the_caller_has_set(world, kind) -> None:
    """Training is float32 under the usual rules, so its weights do not depend on the caller's settings, bit by bit."""
    usual = small(kind=kind)
    with world():
        other = small(kind=kind)
    for one, two in zip(jax.tree.leaves(usual.models), jax.tree.leaves(other.models), strict=True):
        np.testing.assert_array_equal(one, two, strict=True)
    np.testing.assert_array_equal(usual.losses, other.losses, strict=True)
