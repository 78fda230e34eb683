"""Error bars of the supersample bounds: every estimate again from the same draws, and how often intervals cover."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import table_information
from influences import error_of_mean, jackknife_error, mean
from standard_errors import assert_covers

from icl_theory import (
    Estimate,
    LinearClassification,
    LinearRegression,
    Model,
    OneHotClassification,
    VectorRegression,
    random_weights,
    supersample_bounds,
)
from icl_theory.information.supersample.selection_information import information_and_influence, selections
from icl_theory.information.supersample.supersample_bounds import RUNGS

N, SIZE, KEY, CLIP = 3, 25, 4, 1.5
CONDITIONAL = RUNGS[1:]


def divergence(laws: np.ndarray) -> Any:
    """½ Σ_u Σ_a p_u(a) log(p_u(a) / m(a)), also for the complex laws of a complex step."""
    middle, total = laws.mean(axis=0), 0.0
    for p in laws:
        seen = p.real > 0
        total = total + 0.5 * (p[seen] * np.log(p[seen] / middle[seen])).sum()
    return total


def label_slots(model: Model, shown: np.ndarray, asked: np.ndarray, outputs: int) -> np.ndarray:
    """ŷ of one linear layer: -(W_V S W_Kᵀ W_Q h_q) in the label slots, the query's own being 0."""
    value, key, query = model.value[0], model.key[0], model.query[0]
    masked = np.append(asked[:-outputs], np.zeros(outputs))
    return -(value @ (shown.T @ shown / len(shown)) @ key.T @ query @ masked)[-outputs:]


def decision(value: np.ndarray) -> int:
    return int(value[0] >= 0) if len(value) == 1 else int(np.argmax(value))


def levels_of(share: float, levels: int) -> np.ndarray:
    """P(rounded to k/(q-1)), a tent over each level."""
    return np.maximum(0.0, 1 - np.abs(share * (levels - 1) - np.arange(levels)))


class Twin:
    """Losses, tables and informations of every supersample, selection and pair, one at a time."""

    def __init__(self, model: Model, task: Any, loss: str, levels: int, draws: int | None) -> None:
        rng = np.random.default_rng(KEY)
        vector = task.sample_tasks(rng, 1)[0]
        tokens = task.sample_tokens(rng, np.repeat(vector[None], SIZE, axis=0), 2 * N)
        self.pairs, self.bits = tokens.reshape(SIZE, N, 2, -1), selections(N, draws, rng)
        self.gap, self.training = np.zeros((2, SIZE, N))
        self.nats = {name: np.zeros((SIZE, N)) for name in CONDITIONAL}
        self.laws = np.zeros((SIZE, 2, 2 * levels - 1))
        self.clip = 1.0 if loss == "zero_one" else CLIP
        for s, i in np.ndindex(SIZE, N):
            self._pair(model, s, i, loss, levels, task.outputs)

    def _pair(self, model: Model, s: int, i: int, loss: str, levels: int, outputs: int) -> None:
        seen: dict = {}
        joint, runs = np.zeros((2, levels, levels)), len(self.bits)
        for bits in self.bits:
            shown = np.array([self.pairs[s, j, int(u)] for j, u in enumerate(bits)])
            hats = [label_slots(model, shown, token, outputs) for token in self.pairs[s, i]]
            labels = self.pairs[s, i][:, -outputs:]
            if loss == "zero_one":
                symbols = tuple(decision(hat) for hat in hats)
                share = [float(a != decision(y)) for a, y in zip(symbols, labels, strict=True)]
            else:
                symbols = tuple(np.round(np.concatenate(hats), 10))
                share = [min(sum((hat - y) ** 2), self.clip) / self.clip for hat, y in zip(hats, labels, strict=True)]
            u = int(bits[i])
            seen[symbols, u] = seen.get((symbols, u), 0.0) + 1 / runs
            joint[u] += 2 / runs * np.outer(levels_of(share[0], levels), levels_of(share[1], levels))
            self.gap[s, i] += self.clip * (share[1 - u] - share[u]) / runs
            self.training[s, i] += self.clip * share[u] / runs
        steps = [[np.trace(law, offset=k) for k in range(1 - levels, levels)] for law in joint]
        self.laws[s] += np.array(steps) / N
        self.nats["f_cmi"][s, i] = table_information(seen)
        self.nats["evaluated_cmi"][s, i] = divergence(joint.reshape(2, -1))
        self.nats["loss_difference_cmi"][s, i] = divergence(np.array(steps))


def assert_estimate(found: Estimate, value: float, stderr: float, direction: str, unit: str) -> None:
    assert found.value == pytest.approx(value, rel=1e-9, abs=1e-13)
    assert found.stderr == pytest.approx(stderr, rel=1e-9, abs=1e-13)
    assert (found.samples, found.direction, found.unit) == (SIZE, direction, unit)


def over_samples(values: np.ndarray) -> tuple[float, float]:
    """Mean of all pairs, and the error of a mean of S independent supersamples, each with its N pairs together."""
    return float(values.mean()), error_of_mean(values.mean(axis=1))


CASES = [
    (random_weights(3, layers=1, token_dim=3, scale=1.5), LinearClassification(2, flip_probability=0.1), "zero_one", 2),
    (random_weights(1, layers=1, token_dim=3, scale=1.2), LinearRegression(2, noise_std=0.5), "clipped_squared", 3),
    (random_weights(2, layers=1, token_dim=5, scale=1.2), VectorRegression(2, 3, noise_std=0.5), "clipped_squared", 2),
    (random_weights(6, layers=1, token_dim=5, scale=1.5), OneHotClassification(2, 3), "zero_one", 2),
]


@pytest.mark.parametrize("draws", [None, 4], ids=["all selections", "drawn selections"])
@pytest.mark.parametrize(("model", "task", "loss", "levels"), CASES, ids=["signs", "numbers", "vectors", "classes"])
def test_every_estimate(model, task, loss, levels, draws, monkeypatch):
    """25 supersamples in blocks of 9 or of 13: the last is filled up with some that must not count twice."""
    monkeypatch.setattr(
        "icl_theory.information.supersample.supersample_bounds._BLOCK_ENTRIES",
        10 * 8 * N * 2 * max(task.outputs, levels),
    )
    options: dict[str, Any] = {"demonstrations": N, "supersamples": SIZE, "key": KEY, "loss": loss, "clip": CLIP}
    found = supersample_bounds(model, task, **options, levels=levels, draws=draws)
    twin = Twin(model, task, loss, levels, draws)
    for name, values in {
        "gap": twin.gap,
        "training": twin.training,
        "population_loss": twin.gap + twin.training,
    }.items():
        assert_estimate(getattr(found, name), *over_samples(values), "unbiased", "loss")
    for name in CONDITIONAL:
        nats, scale = twin.nats[name], 2 * twin.clip**2
        np.testing.assert_allclose(found.pointwise[name], nats, atol=1e-12)
        inside = over_samples(nats)
        assert_estimate(found.information[name], *inside, "upper" if draws else "unbiased", "nats")
        bound = over_samples(np.sqrt(scale * nats))
        if draws:  # the root of the mean, by the delta method
            value = math.sqrt(scale * inside[0])
            bound = value, value * inside[1] / (2 * inside[0])
            assert "drawn selections" in found.information[name].note
        assert_estimate(found.rungs[name], *bound, "upper", "loss")

    def marginal(w):
        return divergence(mean(w, twin.laws))

    value = float(marginal(np.ones(SIZE)))
    error = jackknife_error(marginal, SIZE)
    assert_estimate(found.information[RUNGS[0]], value, error, "upper", "nats")
    root = jackknife_error(lambda w: np.sqrt(2 * twin.clip**2 * marginal(w)), SIZE)
    if value < error:  # the root then has no slope
        assert task.outputs > 1
        root = math.sqrt(2 * twin.clip**2 * error)
    assert_estimate(found.rungs[RUNGS[0]], math.sqrt(2 * twin.clip**2 * value), root, "upper", "loss")
    assert (found.enumerated, found.selections) == (draws is None, draws or 2**N)


def test_dependent_pairs():
    """A negative control: S N independent pairs would give another error bar, so the test above can see it."""
    model, task, loss, levels = CASES[0]
    twin = Twin(model, task, loss, levels, None)
    for values in (twin.gap, twin.training, *twin.nats.values()):
        assert abs(error_of_mean(values) / over_samples(values)[1] - 1) > 1e-3


def test_unrounded_loss():
    """A loss that is not rounded is bounded by the conditional information."""
    model, task, _, _ = CASES[1]
    options: dict[str, Any] = {
        "demonstrations": N,
        "supersamples": SIZE,
        "key": KEY,
        "loss": "clipped_squared",
        "clip": CLIP,
    }
    found = supersample_bounds(model, task, **options, levels=None)
    conditional, marginal = found.information["loss_difference_cmi"], found.information["loss_difference_mi"]
    assert (marginal.value, marginal.stderr, marginal.samples) == (conditional.value, conditional.stderr, SIZE)
    assert "bounded by the conditional" in marginal.note
    assert conditional.stderr > 0  # some pairs are clipped and carry less


def test_influence(rng):
    """Also where a symbol is seen given one bit only, or not at all."""
    laws = rng.dirichlet(np.ones(5), (12, 2))
    laws[:, 0, 1] = laws[:, :, 3] = 0.0
    laws /= laws.sum(axis=-1, keepdims=True)
    value, found = information_and_influence(laws)
    assert value == pytest.approx(divergence(laws.mean(axis=0)), rel=1e-12)
    assert found.mean() == pytest.approx(value, rel=1e-12)
    error = jackknife_error(lambda w: divergence(mean(w, laws)), 12)
    assert error_of_mean(found) == pytest.approx(error, rel=1e-11)


@pytest.mark.slow
def test_coverage():
    """800 sets of 60 supersamples of four pairs; the truth is the mean of all, 28 times as sharp as one of them."""
    model, task = random_weights(3, layers=1, token_dim=3, scale=1.5), LinearClassification(2, flip_probability=0.1)
    options: dict[str, Any] = {"demonstrations": 4, "supersamples": 60, "task_vector": np.ones(2)}
    runs = [supersample_bounds(model, task, **options, key=key) for key in range(800)]
    for pick in (
        lambda r: r.gap,
        lambda r: r.population_loss,
        lambda r: r.training,
        *((lambda r, n=n: r.information[n]) for n in CONDITIONAL),
        *((lambda r, n=n: r.rungs[n]) for n in CONDITIONAL),
    ):
        assert_covers([pick(run) for run in runs])
