"""Every block, chunk, repetition and set of prompts draws fresh numbers; keys decide, with all their words."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from draws import Recorder, assert_rows_differ, assert_uncorrelated, record
from helpers import assert_close, random_matrices

import icl_theory as it
from icl_theory.claims.quantities import scalar_counterexample
from icl_theory.core.numerics import generator
from icl_theory.information.estimators.calibration import calibrate, calibration_table
from icl_theory.information.estimators.known_channels import FAMILIES, gaussian, scalar_law
from icl_theory.information.ladder.noisy_trajectory import Batches, draw
from icl_theory.information.ladder.setting import Setting
from icl_theory.noise.normality import _subset_means
from icl_theory.risk.population import risk_and_losses
from icl_theory.tasks.laws import Uniform

MIX = np.array([[1.0, 0.3], [0.3, 0.7]])
TASK = it.LinearRegression(2, MIX, MIX @ MIX, noise_std=0.5)
UNIFORM = it.LinearRegression(2, MIX, noise_std=0.5, inputs=Uniform())
SPARSE = it.SparseLinearRegression(2, MIX, noise_std=0.5, nonzero=1)
SIGNS = it.LinearClassification(2, flip_probability=0.1)
W = np.array([0.7, -1.1])
TWO = it.Model.create(*random_matrices(np.random.default_rng(1), 2, 3))
ONE = TWO.first_layers(1)
TOKENS = TASK.sample(0, 1, 9).tokens()[0]
LADDER: dict[str, Any] = {"demonstrations": 9, "shots": 3, "clip": 4.0}
N, SAMPLES = 5, 48

# Module and name of a block's size, its value for blocks of a dozen samples, and the estimate.
BLOCKED: dict[str, tuple[str, int, Callable[[Any], Any]]] = {
    "risk from moments": ("risk.population.BLOCK_ENTRIES", 12 * 9, lambda k: it.population_risk(TWO, TASK, **sizes(k))),
    "risk from prompts": (
        "risk.population.BLOCK_ENTRIES",
        12 * N * 3,
        lambda k: it.population_risk(ONE.replace(kind="softmax"), TASK, **sizes(k)),
    ),
    "accuracy": (
        "risk.population.BLOCK_ENTRIES",
        12 * N * 3,
        lambda k: it.accuracy(ONE.replace(kind="softmax"), SIGNS, **sizes(k)),
    ),
    "Bayes": ("risk.baselines.BLOCK_ENTRIES", 12 * 9, lambda k: it.bayes_risk(TASK, **sizes(k))),
    "Bayes, several outputs": (
        "risk.baselines.BLOCK_ENTRIES",
        12 * 9,
        lambda k: it.bayes_risk(it.VectorRegression(2, 2, noise_std=0.5), **sizes(k)),
    ),
    "Bayes, sparse": ("risk.baselines.BLOCK_ENTRIES", 12 * (2 + 3 * N), lambda k: it.bayes_risk(SPARSE, **sizes(k))),
    "ridge, uniform": (
        "risk.baselines.BLOCK_ENTRIES",
        12 * N * 3,
        lambda k: it.ridge_risk(UNIFORM, penalty=0.1, **sizes(k)),
    ),
    "least squares, uniform": (
        "risk.baselines.BLOCK_ENTRIES",
        12 * N * 3,
        lambda k: it.least_squares_risk(UNIFORM, **(sizes(k) | {"shots": 6})),
    ),
    "least squares, prompts": (
        "risk.baselines.BLOCK_ENTRIES",
        12 * N * 3,
        lambda k: it.least_squares_risk(SIGNS, **sizes(k)),
    ),
    "ladder": ("information.ladder.noisy_trajectory._CHUNK_ENTRIES", 12 * 36, lambda k: ladder(k).gap),
    "ladder with a floor": (
        "information.ladder.noisy_trajectory._CHUNK_ENTRIES",
        12 * 36,
        lambda k: ladder(k, floor=0.1).gap,
    ),
    "counterexample at D = 1": (
        "claims.quantities.scalar_counterexample._CHUNK",
        12,
        lambda k: scalar_counterexample.simulate.__wrapped__(k, SAMPLES)[0],
    ),
    "subset means": (
        "noise.normality._BLOCK_ENTRIES",
        12 * 7 * 3,
        lambda k: _subset_means(np.eye(7, 3), 2, SAMPLES, generator(k)).mean(),
    ),
}


def sizes(key: Any) -> dict[str, Any]:
    return {"shots": N, "samples": SAMPLES, "key": key}


def ladder(key: Any, **changes: Any) -> it.BoundLadder:
    return it.bound_ladder(ONE, TASK, **(LADDER | {"samples": SAMPLES, "key": key, "task_vector": W} | changes))


@pytest.mark.parametrize("name", BLOCKED)
def test_every_block_draws_anew(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number comes twice, and in four blocks as many are drawn as in one."""
    place, size, estimate = BLOCKED[name]
    with monkeypatch.context() as patch:
        whole = record(patch)
        estimate(3)
    monkeypatch.setattr(f"icl_theory.{place}", size)
    blocks = record(monkeypatch)
    estimate(3)
    assert blocks.repeated == 0
    assert len(blocks.numbers) == len(whole.numbers) >= 2 * SAMPLES
    assert len(blocks.draws) > 2 * len(whole.draws)  # there were several blocks


# What takes a key and draws without blocks, or in loops of its own.
DRAWING: dict[str, Callable[[Any], Any]] = {
    "prompts": lambda k: TASK.sample(k, 3, N),
    "random weights": lambda k: it.random_weights(k, layers=2, token_dim=3),
    "noise": lambda k: it.gradient_noise(ONE, np.eye(5, 3), shots=2).sample(k, 4),
    "audit of several b": lambda k: it.normality_audit(ONE, TOKENS, shots=(1, 2, 3), samples=20, key=k),
    "supersample, enumerated": lambda k: supersample(k, 2),
    "supersample, selections drawn": lambda k: supersample(k, 3, draws=4),
    "calibration": lambda k: calibrate(gaussian(1, 0.5), pairs=8, repetitions=4, key=k),
    "calibration table": lambda k: calibration_table(
        [gaussian(1, 0.5), gaussian(1, 0.7), scalar_law("laplace")(2, 1.0)], pairs=8, repetitions=3, key=k
    ),
    "search": lambda k: it.search_clipping_rate(ONE, TASK, shots=N, top=1, prompts=6, key=k),
    "agreement": lambda k: it.gradient_descent_agreement(TWO, TASK, shots=N, prompts=6, key=k),
}


def supersample(key: Any, demonstrations: int, **options: Any) -> Any:
    named: dict[str, Any] = {"supersamples": 3, "loss": "clipped_squared", "key": key} | options
    return it.supersample_bounds(ONE, TASK, demonstrations=demonstrations, **named)


# Models compared on common draws: the same numbers come again, by design.
COMMON: dict[str, Callable[[Any], Any]] = {
    "sweep": lambda k: it.rank_sweep(ONE, TASK, ranks=[1, 2], key=k, samples=SAMPLES, **LADDER),
    "shared subsets": lambda k: it.shared_subsets(ONE, TASK, samples=SAMPLES, key=k, **LADDER),
}


@pytest.mark.parametrize("name", [*DRAWING, *BLOCKED, *COMMON])
def test_keys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same key, same numbers; another one shares none of them."""
    function = (DRAWING | COMMON).get(name) or BLOCKED[name][2]
    seen: list[Recorder] = []
    for key in (4, 4, 5):
        with monkeypatch.context() as patch:
            seen.append(record(patch))
            function(key)
    first, again, other = seen
    np.testing.assert_array_equal(first.numbers, again.numbers)
    assert not first.runs & other.runs
    assert (first.repeated == other.repeated == 0) or name in COMMON


def test_words_of_a_key() -> None:
    """Keys of two and of four words, typed and raw, that differ from one another in a single word."""
    keys: list[Any] = []
    for words, kind in ((2, "threefry2x32"), (4, "rbg")):
        data = np.tile(np.arange(11, 11 + words, dtype=np.uint32), (words + 1, 1))
        data[np.arange(words), np.arange(words)] += 100
        keys += [jax.random.wrap_key_data(jax.numpy.asarray(row), impl=kind) for row in data]
    drawn = [generator(key).standard_normal(4) for key in keys]
    assert_rows_differ(drawn)
    raw = [generator(jax.random.key_data(key)).standard_normal(4) for key in keys]
    np.testing.assert_array_equal(raw, drawn)
    assert_rows_differ([generator(seed).standard_normal(4) for seed in (0, 1, 2**31, 2**32, 2**64, 2**64 + 1)])


def test_loss_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loss by hand from the S and w of its own block, the last block being cut short."""
    drawn: list[tuple] = []
    original = it.LinearRegression.sample_moments

    def kept(*args: Any) -> tuple:
        drawn.append(original(*args))
        return drawn[-1]

    monkeypatch.setattr(it.LinearRegression, "sample_moments", kept)
    monkeypatch.setattr("icl_theory.risk.population.BLOCK_ENTRIES", 12 * 9)
    options: dict[str, Any] = sizes(3) | {"samples": SAMPLES - 1}
    losses = risk_and_losses(TWO, TASK, **options)[1]
    assert len(drawn) == 4
    expected = []
    for s, w in zip(*(np.concatenate(part) for part in zip(*drawn, strict=True)), strict=True):
        m = np.eye(3)
        for value, key, query in zip(TWO.value, TWO.key, TWO.query, strict=True):
            m = m + value @ m @ s @ m.T @ key.T @ query @ m
        expected.append((-m[-1, :-1] - w) @ MIX @ (-m[-1, :-1] - w))
    assert_close(losses, np.array(expected)[: SAMPLES - 1], 1e-10)


def test_chunks_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the chunks differ pairwise, are all used, and come again for the next weights."""
    monkeypatch.setattr("icl_theory.information.ladder.noisy_trajectory._CHUNK_ENTRIES", 12 * 36)
    batches = Batches(Setting(ONE, TASK, W, 9, 3), 7, 50)
    first, again = list(batches), list(batches)
    assert sorted(len(x.tokens) for x in first) == [10] * 5
    for name in ("tokens", "moments", "observations"):
        rows = np.concatenate([getattr(x, name) for x in first])
        assert_rows_differ(rows)
        np.testing.assert_array_equal(rows, np.concatenate([getattr(x, name) for x in again]))
    found = ladder(3, samples=50)
    for name in ("gap", "population", "gaussian", "divergence"):
        assert len(np.unique(found.terms[name])) == 50


@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_own_noise(floor: float) -> None:
    """Given the tokens the observations of all layers are independent draws of N(S, C_X): white without C_X."""
    runs, layers = 600, 3
    setting = Setting(TWO.repeated(2).first_layers(layers), TASK, W, 9, 3, floor)
    draws = draw(setting, np.random.default_rng(0), runs)
    noise = np.linalg.solve(draws.noise_root[:, None], (draws.observations - draws.moments[:, None])[..., None])[..., 0]
    assert abs((noise**2).mean() - 1) < 6 * np.sqrt(2 / noise.size)
    assert draws.extra.shape == (runs, layers if floor else 0, 3, 3)
    for part in (noise, draws.extra) if floor else (noise,):
        for t in range(layers):
            assert_rows_differ(part[:, t])
            for other in range(t):
                assert_uncorrelated(part[:, t], part[:, other])  # between layers
            assert_uncorrelated(part[1:, t], part[:-1, t])  # between runs
        assert_rows_differ(part.reshape(runs * layers, -1))
    if floor:
        for t in range(layers):
            assert_uncorrelated(draws.extra[:, t, :2].reshape(runs, -1), noise[:, t])


def test_supersamples_differ() -> None:
    """Supersamples differ pairwise in what they show."""
    found = supersample(4, 3, supersamples=40, levels=8)
    assert_rows_differ(found.pointwise["gap"])
    gap = found.pointwise["gap"] - found.pointwise["gap"].mean()
    assert_uncorrelated(gap[1:], gap[:-1])


@pytest.mark.parametrize("family", FAMILIES)
def test_channel_pairs_differ(family: str) -> None:
    """Inputs, noise and, from one repetition to the next, everything; binary inputs have two values."""
    rng, channel = np.random.default_rng(0), FAMILIES[family](2, 0.8)
    first, second = (channel.draw(rng, 30) for _ in range(2))
    assert_rows_differ(np.concatenate([first[1], second[1]]))
    if family != "binary":
        assert_rows_differ(np.concatenate([first[0], second[0]])[:, :2])
    own = np.concatenate([np.diagonal(part[2]) for part in (first, second)])
    assert len(np.unique(own)) == 60


def test_repetitions_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables that the sandwich is given; a channel's do not depend on its neighbours in the list."""
    from icl_theory.information.estimators import calibration

    tables: list[np.ndarray] = []
    original = calibration.sandwich

    def kept(channels: Any) -> Any:
        tables.append(channels[0].log_p)
        return original(channels)

    monkeypatch.setattr(calibration, "sandwich", kept)
    channels = [gaussian(2, 0.5), gaussian(2, 0.7)]
    calibration_table(channels, pairs=10, repetitions=3, key=1)
    assert_rows_differ(tables)
    calibration_table(channels[1:], pairs=10, repetitions=3, key=1)
    np.testing.assert_array_equal(tables[6:], tables[3:6])
