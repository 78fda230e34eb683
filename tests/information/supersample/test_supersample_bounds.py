"""Supersample bounds: information of a fair bit, every selection against a slow twin, and the guarantee itself."""

import itertools
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_mean, error_message, forward_by_token, table_information

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Model,
    OneHotClassification,
    Prompt,
    ReLUTeacher,
    VectorRegression,
    gradient_descent_weights,
    implicit_trajectory,
    one_layer_optimum,
    predict,
    random_weights,
    supersample_bounds,
)
from icl_theory.claims.bounds import supersample_guarantee
from icl_theory.claims.engine.cases import Case
from icl_theory.descent.implied_weights import implied_weights
from icl_theory.information.ladder.losses import empirical_loss, population_loss
from icl_theory.information.supersample.predictions import selection_predictions
from icl_theory.information.supersample.selection_information import selection_statistics, selections
from icl_theory.information.supersample.supersample_bounds import RUNGS
from icl_theory.tasks.laws import Uniform

REGRESSION, CLASSES = LinearRegression(3, noise_std=0.5), LinearClassification(3, flip_probability=0.1)
OPTIONS: dict[str, Any] = {"demonstrations": 6, "supersamples": 24, "key": 3}
DESCENT = gradient_descent_weights(3, step_size=0.7)
LN2 = math.log(2)
MLPS = ("identity", "relu")


def options_with(changes: dict[str, Any]) -> dict[str, Any]:
    return OPTIONS | changes


def loss_of(hat, label, loss, clip):
    """The loss over c, and what is decided: a sign, or the place of the largest entry."""
    if loss == "clipped_squared":
        return min(sum((h - y) ** 2 for h, y in zip(hat, label, strict=True)), clip) / clip, tuple(np.round(hat, 9))
    decide = (lambda v: max(range(len(v)), key=lambda k: v[k])) if len(hat) > 1 else (lambda v: v[0] >= 0)
    return float(decide(hat) != decide(label)), decide(hat)


def twin(model, pairs, loss, clip, levels, options, outputs):
    """Every selection in a loop, token by token; every rounding outcome in a table of probabilities."""
    count = len(pairs)
    tables: dict = {name: [defaultdict(float) for _ in range(count)] for name in RUNGS[1:]}
    gaps = np.zeros(count)
    for bits in itertools.product((0, 1), repeat=count):
        shown = np.array([pairs[i, u] for i, u in enumerate(bits)])
        for i, u in enumerate(bits):
            seen, laws, means = [], [], []
            for token in pairs[i]:
                query = np.append(token[:-outputs], np.zeros(outputs))
                hat = -forward_by_token(model, shown, query, **options)[1][-outputs:]
                value, what = loss_of(hat, token[-outputs:], loss, clip)
                position = value * (levels - 1)
                low = min(math.floor(position), levels - 2)
                laws.append({low: 1 - (position - low), low + 1: position - low})
                seen.append(what)
                means.append(value)
            gaps[i] += (means[1 - u] - means[u]) / 2**count
            tables["f_cmi"][i][tuple(seen), u] += 2.0**-count
            for (a, p), (b, q) in itertools.product(laws[0].items(), laws[1].items()):
                tables["evaluated_cmi"][i][(a, b), u] += p * q / 2**count
                tables["loss_difference_cmi"][i][b - a, u] += p * q / 2**count
    steps = range(1 - levels, levels)
    tables_of_delta = tables["loss_difference_cmi"]
    law = [[sum(2 * t[k, u] for t in tables_of_delta) / count for k in steps] for u in (0, 1)]
    return gaps, {name: [table_information(t) for t in table] for name, table in tables.items()}, law


HOTS, OUTPUTS = OneHotClassification(2, 3), VectorRegression(2, 3, noise_std=0.5)
KERNEL = {"kind": "softmax"}
CAUSAL = {"mask": "causal"}
RELU = {"activation": "relu"}


def drawn(dimension, layers, *, heads=None, mlp=False, seed=0):
    """Random weights that make predictions of the size of the labels."""
    rng = np.random.default_rng(seed)
    shape = (3, layers, dimension, dimension) if heads is None else (3, layers, heads, dimension, dimension)
    value, key, query = rng.standard_normal(shape) * (1.2 / math.sqrt(dimension))
    inner, outer = rng.standard_normal((2, layers, dimension + 1, dimension)) if mlp else (None, None)
    return Model.create(value, key, query, inner, None if outer is None else outer.swapaxes(1, 2), heads=heads)


@pytest.mark.parametrize(
    ("loss", "levels", "model", "task", "options"),
    [
        ("zero_one", 2, drawn(4, 1), CLASSES, {}),
        ("clipped_squared", 2, drawn(4, 1), REGRESSION, {}),
        ("clipped_squared", 4, drawn(4, 2), REGRESSION, {}),
        ("zero_one", 2, drawn(4, 2), CLASSES, {}),
        ("clipped_squared", 3, drawn(4, 2, heads=2), REGRESSION, {}),
        ("zero_one", 2, drawn(4, 2), CLASSES, KERNEL),
        ("clipped_squared", 3, drawn(4, 2, heads=2), REGRESSION, KERNEL | CAUSAL),
        ("zero_one", 2, drawn(4, 2), CLASSES, CAUSAL),
        ("clipped_squared", 2, drawn(4, 2, mlp=True), REGRESSION, RELU),
        ("clipped_squared", 2, drawn(4, 1, mlp=True).repeated(2), REGRESSION, RELU | CAUSAL),
        ("zero_one", 2, drawn(5, 1), HOTS, {}),
        ("zero_one", 2, drawn(5, 2), HOTS, KERNEL),
        ("clipped_squared", 3, drawn(5, 2), OUTPUTS, {"normalization": "sum"}),
    ],
)
def test_slow_twin(loss, levels, model, task, options):
    """Every selection against a slow twin."""
    rng = np.random.default_rng(5)
    vectors = np.repeat(task.sample_tasks(rng, 1), 2, axis=0)
    pairs = task.sample_tokens(rng, vectors, 6).reshape(2, 3, 2, -1)
    bits = selections(3, None, rng)
    outputs = task.outputs
    made = selection_predictions(model.replace(**options), pairs, bits, outputs=outputs)
    found = selection_statistics(made, pairs[..., -outputs:], bits, (loss, 2.0, levels))
    for s in range(2):
        gaps, nats, law = twin(model, pairs[s], loss, 2.0, levels, options, outputs)
        np.testing.assert_allclose(found["gap"][s], gaps, atol=1e-12)
        for name, values in nats.items():
            np.testing.assert_allclose(found[name][s], values, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(found["laws"][s], law, atol=1e-12)


CASES = [
    (gradient_descent_weights(3, step_size=0.7), CLASSES, {}),
    (gradient_descent_weights(3, layers=2, step_size=1.5), CLASSES, {"demonstrations": 3}),
    (gradient_descent_weights(3, layers=3, step_size=0.4), LinearClassification(3), {"demonstrations": 8}),
    (random_weights(1, layers=1, token_dim=4, scale=2.0), CLASSES, {}),
    (random_weights(2, layers=3, token_dim=4, scale=0.7), REGRESSION, {}),
    (one_layer_optimum(REGRESSION, shots=6)[0], REGRESSION, {"loss": "clipped_squared"}),
    (one_layer_optimum(REGRESSION, shots=6)[0], REGRESSION, {"loss": "clipped_squared", "levels": 7, "clip": 0.3}),
    (one_layer_optimum(REGRESSION, shots=6)[0], REGRESSION, {"loss": "clipped_squared", "levels": None}),
    (
        random_weights(4, layers=2, token_dim=4, scale=1.0).replace(readout="plus"),
        REGRESSION,
        {"loss": "clipped_squared"},
    ),
    (gradient_descent_weights(3, layers=2, step_size=0.5), ReLUTeacher(3, 4), {"loss": "clipped_squared"}),
    (gradient_descent_weights(3, step_size=1.0), LinearRegression(3, inputs=Uniform()), {"loss": "clipped_squared"}),
    (gradient_descent_weights(3, step_size=1.0), CLASSES, {"demonstrations": 1}),
    (gradient_descent_weights(3, layers=2, step_size=0.5).replace(**KERNEL), CLASSES, {}),
    (gradient_descent_weights(3, layers=2, step_size=0.5).replace(**CAUSAL), CLASSES, {}),
    (drawn(4, 2, seed=1).replace(**KERNEL, **CAUSAL), REGRESSION, {"loss": "clipped_squared"}),
    (drawn(4, 2, mlp=True).replace(**RELU), CLASSES, {}),
    (drawn(4, 2, heads=2), CLASSES, {}),
    (drawn(4, 1, heads=2).repeated(2).replace(**CAUSAL, readout="plus"), REGRESSION, {"loss": "clipped_squared"}),
    (gradient_descent_weights(2, label_projection=HOTS.label_projection), HOTS, {}),
    (gradient_descent_weights(2, label_projection=np.eye(3)), OUTPUTS, {"loss": "clipped_squared", "levels": None}),
]


@pytest.mark.parametrize(("model", "task", "changes"), CASES)
def test_pairwise_guarantee(model, task, changes):
    """Exact on both sides: E_U[(-1)^{U_i} Δ_i | z̃] ≤ c sqrt(2 I(A_i; U_i | z̃)); and the chain of data processing."""
    result = supersample_bounds(model, task, **options_with(changes))
    assert result.enumerated
    assert result.selections == 2 ** options_with(changes)["demonstrations"]
    gaps = np.abs(result.pointwise["gap"])
    smaller = np.zeros_like(gaps)
    for name in RUNGS[1:]:
        nats = result.pointwise[name]
        assert (nats >= smaller - 1e-12).all()
        assert (nats <= LN2 * (1 + 1e-12)).all()
        assert (gaps <= result.trivial * np.sqrt(2 * nats) + 1e-12).all()
        smaller = nats
    # The marginal information is a plug-in over supersamples, too large in expectation.
    assert result.information[RUNGS[0]].value <= result.information[RUNGS[1]].value + 1e-12
    for rung in result.rungs.values():
        assert rung.direction == "upper"
        assert rung.value >= result.gap.value - 1e-12


def test_half_range_is_wrong():
    """R = c/2, right for one loss, is wrong for the difference of two: pairs of gap 1 and information log 2 show it."""
    result = supersample_bounds(DESCENT, CLASSES, **options_with({"demonstrations": 1, "supersamples": 200}))
    gaps, nats = result.pointwise["gap"], result.pointwise["loss_difference_cmi"]
    assert (gaps > 0.5 * np.sqrt(2 * nats) + 1e-12).any()


def test_one_demonstration():
    """d = 1, N = 1: the token shown is always right, the other wrong iff exactly one label of the two was flipped."""
    flip, count = 0.2, 4000
    rate = 2 * flip * (1 - flip)
    task = LinearClassification(1, flip_probability=flip)
    result = supersample_bounds(gradient_descent_weights(1), task, demonstrations=1, supersamples=count, key=1)
    error = 6 * math.sqrt(rate * (1 - rate) / count)
    assert result.training.value == 0.0
    assert abs(result.gap.value - rate) < error
    assert result.information["loss_difference_cmi"].value == pytest.approx(result.gap.value * LN2)
    assert result.rungs["loss_difference_cmi"].value == pytest.approx(result.gap.value * math.sqrt(2 * LN2))
    # Unconditionally 0 is the one symbol that does not reveal U: I = rate log 2, and the root outside makes it larger.
    assert result.rungs["loss_difference_mi"].value == pytest.approx(math.sqrt(2 * result.gap.value * LN2))
    assert result.gap.stderr == pytest.approx(math.sqrt(rate * (1 - rate) / count), rel=0.1)


def test_scaling():
    """y → t y, c → t² c and one gradient step: predictions scale by t, so bounds and gap by t², nats not at all."""
    w, scale = np.array([0.3, -1.0, 0.5]), 3.0
    options = options_with({"loss": "clipped_squared"})
    small = supersample_bounds(DESCENT, REGRESSION, **options, clip=2.0, task_vector=w)
    scaled = LinearRegression(3, noise_std=0.5 * scale)
    large = supersample_bounds(DESCENT, scaled, **options, clip=2.0 * scale**2, task_vector=scale * w)
    assert large.gap.value == pytest.approx(scale**2 * small.gap.value, rel=1e-10)
    for name in RUNGS:
        assert large.rungs[name].value == pytest.approx(scale**2 * small.rungs[name].value, rel=1e-9)
        assert large.information[name].value == pytest.approx(small.information[name].value, rel=1e-9)


def test_fresh_gap():
    """Another method: fresh prompts, population loss in closed form; no supersample anywhere."""
    w, count = np.array([0.3, -1.0, 0.5]), 3000
    options = options_with({"loss": "clipped_squared", "supersamples": 400})
    result = supersample_bounds(DESCENT, REGRESSION, **options, clip=2.0, task_vector=w)
    tokens = REGRESSION.sample_tokens(np.random.default_rng(0), np.repeat(w[None], count, axis=0), 6)
    p = np.stack([implied_weights(implicit_trajectory(DESCENT, t).accumulated[-1], "minus") for t in tokens[:600]])
    population, empirical = population_loss(p, REGRESSION, w, 2.0), empirical_loss(p, tokens[:600], 2.0)
    assert_same_mean(result.pointwise["gap"].mean(axis=1), population - empirical)
    for estimate, values in ((result.population_loss, population), (result.training, empirical)):
        error = math.hypot(estimate.stderr, values.std() / math.sqrt(len(values)))
        assert abs(estimate.value - values.mean()) < 6 * error


@pytest.mark.parametrize("options", [KERNEL, CAUSAL, KERNEL | CAUSAL, RELU], ids=str)
def test_fresh_gap_is_bounded(options):
    """Demonstrations and a fresh noisy token of the task, through `predict`: no pair, no selection, no bit."""
    deep = drawn(4, 2, mlp=True, seed=3).replace(**options)
    w, count, shots = np.array([0.3, -1.0, 0.5]), 4000, 5
    result = supersample_bounds(
        deep, REGRESSION, **options_with({"demonstrations": shots, "supersamples": 300}),
        loss="clipped_squared", clip=2.0, task_vector=w,
    )  # fmt: skip
    tokens = REGRESSION.sample_tokens(np.random.default_rng(0), np.repeat(w[None], count, axis=0), shots + 1)
    x, y = tokens[:, :shots, :-1], tokens[:, :shots, -1]

    def loss(asked):
        prompt = Prompt(x, y, asked[:, :-1], asked[:, -1])
        return np.minimum((predict(deep, prompt) - asked[:, -1]) ** 2, 2.0)

    unseen, seen = loss(tokens[:, shots]), np.mean([loss(tokens[:, i]) for i in range(shots)], axis=0)
    assert_same_mean(result.pointwise["gap"].mean(axis=1), unseen - seen)
    for estimate, values in ((result.population_loss, unseen), (result.training, seen)):
        error = math.hypot(estimate.stderr, values.std() / math.sqrt(count))
        assert abs(estimate.value - values.mean()) < 6 * error
    error = (unseen - seen).std() / math.sqrt(count)
    for rung in result.rungs.values():
        assert rung.value >= (unseen - seen).mean() - 6 * math.hypot(error, rung.stderr)


def test_drawn_selections():
    """Drawn selections give a larger information."""
    model = gradient_descent_weights(3, layers=2, step_size=0.5)
    options = options_with({"demonstrations": 8, "supersamples": 100})
    exact = supersample_bounds(model, CLASSES, **options)
    drawn = supersample_bounds(model, CLASSES, **options, draws=32)
    assert not drawn.enumerated
    # The same tokens (the same key, one block): only the selections differ.
    for name in RUNGS[1:]:
        excess = drawn.pointwise[name].mean(axis=1) - exact.pointwise[name].mean(axis=1)
        assert excess.mean() > 6 * excess.std(ddof=1) / 10
        assert drawn.rungs[name].value >= exact.rungs[name].value
        assert (exact.information[name].direction, drawn.information[name].direction) == ("unbiased", "upper")
    assert abs(drawn.gap.value - exact.gap.value) < 6 * math.hypot(drawn.gap.stderr, exact.gap.stderr)


def test_many_demonstrations():
    """More demonstrations than can be enumerated."""
    result = supersample_bounds(DESCENT, CLASSES, demonstrations=20, supersamples=20, key=0)
    assert (result.enumerated, result.selections) == (False, 512)
    assert result.gap.value < result.rungs["loss_difference_mi"].value < result.trivial


def test_continuous_losses():
    """Unrounded, a vacuous bound of 1.18 c with log 2 per bit; rounded at random, one below c on the same gap."""
    options = options_with({"loss": "clipped_squared", "clip": 50.0})
    plain = supersample_bounds(DESCENT, REGRESSION, **options, levels=None)
    for name in RUNGS:
        assert plain.information[name].value == pytest.approx(LN2, rel=1e-12)
        assert plain.rungs[name].value == pytest.approx(50.0 * math.sqrt(2 * LN2))
        assert plain.rungs[name].value > plain.trivial
    rounded = supersample_bounds(DESCENT, REGRESSION, **options, levels=2)
    assert rounded.gap == plain.gap
    assert rounded.gap.value < rounded.rungs["loss_difference_cmi"].value < 0.5 * rounded.trivial
    fine = supersample_bounds(DESCENT, REGRESSION, **options, levels=16)
    assert fine.rungs["loss_difference_cmi"].value > rounded.rungs["loss_difference_cmi"].value


def test_ignoring_model():
    """A model that ignores its demonstrations carries no information."""
    model = random_weights(0, layers=1, token_dim=4, scale=0.0)
    for loss in ("zero_one", "clipped_squared"):
        result = supersample_bounds(model, REGRESSION, **OPTIONS, loss=loss)
        assert all(rung.value == 0.0 for rung in result.rungs.values())
        assert abs(result.gap.value) < 1e-15


def test_linear_mlp():
    """A linear MLP multiplies the values."""
    mlp = np.random.default_rng(1).standard_normal((2, 1, 4, 4))
    plain = random_weights(0, layers=1, token_dim=4)
    with_mlp = plain.replace(mlp_in=mlp[0], mlp_out=mlp[1])
    folded = plain.replace(value=mlp[1] @ mlp[0] @ plain.value)
    results = [supersample_bounds(m, REGRESSION, **OPTIONS, loss="clipped_squared") for m in (with_mlp, folded, plain)]
    np.testing.assert_allclose(results[0].pointwise["gap"], results[1].pointwise["gap"], atol=1e-12)
    assert results[0].gap != results[2].gap
    # Without an activation named it is the linear one, as everywhere else; the other must be requested.
    named, relu = (
        supersample_bounds(with_mlp.replace(activation=a), REGRESSION, **OPTIONS, loss="clipped_squared") for a in MLPS
    )
    assert named.gap == results[0].gap
    assert abs(relu.gap.value - named.gap.value) > 1e-3


@pytest.mark.parametrize("options", [{}, CAUSAL], ids=str)
def test_readouts(options):
    """Readouts differ by the sign of the values at one layer."""
    turned = DESCENT.replace(value=-DESCENT.value)
    model = DESCENT.replace(**options)
    minus = supersample_bounds(model, REGRESSION, **OPTIONS)
    plus = supersample_bounds(turned.replace(**options, readout="plus"), REGRESSION, **OPTIONS)
    assert plus.rungs == minus.rungs
    assert supersample_bounds(model.replace(readout="plus"), REGRESSION, **OPTIONS).gap != minus.gap


def test_blocks_and_keys(monkeypatch):
    """Equal keys give equal results, in one block or in several."""
    first = supersample_bounds(DESCENT, CLASSES, **OPTIONS)
    assert supersample_bounds(DESCENT, CLASSES, **OPTIONS).rungs == first.rungs
    assert supersample_bounds(DESCENT, CLASSES, **options_with({"key": 4})).rungs != first.rungs
    monkeypatch.setattr("icl_theory.information.supersample.supersample_bounds._BLOCK_ENTRIES", 5 * 64 * 24)
    parts = supersample_bounds(DESCENT, CLASSES, **OPTIONS)
    np.testing.assert_array_equal(parts.pointwise["gap"], first.pointwise["gap"])
    assert parts.rungs == first.rungs


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"demonstrations": 0}, "demonstrations: got 0"),
        ({"supersamples": 1}, "supersamples: got 1"),
        ({"loss": "hinge"}, "loss: got 'hinge'"),
        ({"loss": "clipped_squared", "clip": -1.0}, "clip: got -1.0"),
        ({"loss": "clipped_squared", "levels": 1}, "levels: got 1"),
        ({"draws": 7}, "draws: got 7, expected an even number"),
        ({"task_vector": np.ones(2)}, "task_vector: got shape"),
    ],
)
def test_bad_options(changes, words):
    """Options out of range are errors that name the option."""
    assert words in error_message(supersample_bounds, DESCENT, CLASSES, **options_with(changes))


def test_unfit_weights():
    """Unfit weights are errors."""
    assert "token dimension" in error_message(supersample_bounds, gradient_descent_weights(4), CLASSES, **OPTIONS)
    ensemble = DESCENT.replace(**{name: getattr(DESCENT, name)[None] for name in ("value", "key", "query")})
    assert "an ensemble of seeds" in error_message(supersample_bounds, ensemble, CLASSES, **OPTIONS)
    wild = random_weights(0, layers=2, token_dim=4, scale=1e80)
    for options in ({}, CAUSAL, KERNEL):
        assert "overflows" in error_message(supersample_bounds, wild.replace(**options), CLASSES, **OPTIONS)


def test_vectors_no_classes():
    """Vectors that are no classes have no 0-1 loss."""
    model = gradient_descent_weights(2, label_projection=np.eye(3))
    message = error_message(supersample_bounds, model, OUTPUTS, **OPTIONS)
    assert message.startswith("loss: got 'zero_one' for a VectorRegression")
    assert "use loss='clipped_squared'" in message


@pytest.mark.parametrize("options", [KERNEL, CAUSAL, RELU, {}], ids=str)
def test_cases_of_the_claim(options):
    """Also those rebuilt from a file: a counterexample is checked under the same options."""
    task, w = LinearRegression(3, noise_std=0.5), np.ones(3)
    case = Case("a case", "random", 5, drawn(4, 2, mlp=True).replace(**options), task, w, np.eye(4))
    direct = supersample_bounds(case.model, task, demonstrations=6, supersamples=16, key=5, task_vector=w)
    for each in (case, Case.from_dict(case.to_dict())):
        found = supersample_guarantee.bounds(each, "zero_one")
        np.testing.assert_array_equal(found.pointwise["gap"], direct.pointwise["gap"])
