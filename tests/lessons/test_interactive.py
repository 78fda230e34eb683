"""The interactive page against the library: random states of its controls, computed by a browser, to 1e-9."""

import json
from typing import Any

import numpy as np
import pytest
from browser import REASON, Window, find_browser
from helpers import assert_close

from icl_theory import (
    LinearRegression,
    Model,
    Prompt,
    descent_paths,
    gradient_descent_weights,
    one_layer_optimum,
    population_risk,
    support_dimension,
    truncate,
    truncate_weights,
)
from icl_theory.information.forward_pass.single_token import second_moment_information
from icl_theory.information.ladder.large_sample_limit import observation_information
from icl_theory.lessons.interactive import FOLDER, controls

pytestmark = pytest.mark.skipif(find_browser() is None, reason=REASON)
TRAINED = json.loads((FOLDER / "trained.json").read_text("utf-8"))
CLIP, NAMES = 4.0, {"model": "model", "descent": "gradient descent", "plusPlus": "GD++"}
ABSOLUTE = 1e-9


def states(count: int, seed: int) -> list[dict[str, Any]]:
    """Random positions of every control."""
    rng, result = np.random.default_rng(seed), []
    for _ in range(count):
        state = {}
        for name, control in controls().items():
            if "words" in control:
                state[name] = str(rng.choice(control["words"]))
            else:
                low, high, step = control["range"]
                state[name] = round(low + step * int(rng.integers(round((high - low) / step) + 1)), 10)
        result.append(state)
    return result


def weights_of(state: dict[str, Any]) -> Model:
    if state["model"] == "constructed":
        return gradient_descent_weights(2, layers=state["layers"], step_size=state["eta"])
    layers = TRAINED["models"][str(state["layers"])]
    return Model.create(*(np.array([own[name] for own in layers]) for name in ("value", "key", "query")))


def known_support(model: Model) -> list[int]:
    products = np.swapaxes(model.key, 1, 2) @ model.query
    return [support_dimension(value, product) for value, product in zip(model.value, products, strict=True)]


def expected_rank(model: Model, state: dict[str, Any], task: LinearRegression) -> dict[str, Any]:
    """d_S, bounds and, for one layer, the exact risk, by the library."""
    support = known_support(model)
    read = sum(support)
    if state["layers"] == 1:
        columns = (model.key[0].T @ model.query[0])[:, :2]
        read = int(np.linalg.matrix_rank(columns, tol=1e-10)) if np.abs(model.value[0, 2]).max() > 1e-10 else 0
    counts = state["total"], state["shots"]
    nats = {
        "weights": observation_information(sum(support), *counts),
        "readout": observation_information(read, *counts),
    }
    found: dict[str, Any] = {name: np.sqrt(2 * 4 * value / state["total"]) for name, value in nats.items()}
    found["wishart"] = np.sqrt(2 * 4 * second_moment_information(state["shots"], 3))
    if state["layers"] == 1:
        found["risk"] = population_risk(model, task, shots=state["shots"]).value
    return found | {"support": support}


def cut_of(whole: Model, state: dict[str, Any], matrix: np.ndarray, rank: int) -> Model:
    """The library's truncation, or the page's own where two singular values are equal and both are as good."""
    place, module = state["layer"] - 1, state["module"]
    found = truncate_weights(whole, layer=place, module=module, rank=rank)
    given = getattr(whole, module)[place]
    best = truncate(given, rank)
    if not best.note:
        assert_close(matrix, best.matrix, 1e-9)
        return found
    assert "equal" in best.note
    assert np.linalg.matrix_rank(matrix, tol=1e-12) == rank
    assert np.linalg.norm(given - matrix) == pytest.approx(np.linalg.norm(best.dropped), rel=1e-12)
    matrices = getattr(whole, module).copy()
    matrices[place] = matrix
    return whole.replace(**{module: matrices})


def compare(found: dict[str, Any], given: dict[str, Any]) -> None:
    """Everything that the page says of one state."""
    state = found["state"]
    assert state["layer"] == min(given["layer"], given["layers"])
    assert state["total"] == max(given["total"], given["shots"] + 1)
    task = LinearRegression(2, np.diag([1.0, state["spread"]]), noise_std=state["noise"])
    whole = weights_of(state)
    cuts = [cut_of(whole, state, np.array(rank["matrix"], dtype=float), r) for r, rank in enumerate(found["ranks"])]
    own = cuts[state["rank"]]
    for name in ("value", "key", "query"):
        assert_close(np.array([layer[name] for layer in found["weights"]], dtype=float), getattr(own, name), 1e-9)
    tokens = np.array(found["tokens"])
    assert tokens.shape == (state["shots"], 3)
    prompt = Prompt(tokens[None, :, :2], tokens[None, :, 2], np.zeros((1, 2)), np.zeros(1))
    paths = descent_paths(own, prompt, step_size=state["eta"], input_step=state["gamma"])
    for short, name in NAMES.items():
        expected = paths.weights[name][0]
        np.testing.assert_allclose(found["paths"][short], expected, rtol=1e-9, atol=ABSOLUTE * np.abs(expected).max())
    for cut, rank in zip(cuts, found["ranks"], strict=True):
        for name, value in expected_rank(cut, state, task).items():
            number = np.inf if rank[name] is None else rank[name]
            np.testing.assert_allclose(number, value, rtol=1e-9, atol=ABSOLUTE, err_msg=f"{name} {state}")


RUN = """given => given.map(state => { const all = compute(state, page.trained);
  const { prompts, moment, ...rest } = all; return { ...rest, tokens: prompts[0].tokens }; })"""


def check_states(window: Window, count: int, seed: int) -> None:
    for start in range(0, count, 250):
        given = states(min(250, count - start), seed + start)
        for own, found in zip(given, window.page.evaluate(RUN, given), strict=True):
            compare(found, own)


def test_states(window: Window) -> None:
    """Two hundred of them."""
    check_states(window, 200, 1)


@pytest.mark.slow
def test_many_states(window: Window) -> None:
    """Ten thousand."""
    check_states(window, 10_000, 1000)


def test_band_and_risk_of_layers(window: Window) -> None:
    """Quantiles over 64 prompts, and the risk of several layers as their mean, from the tokens that the page drew."""
    script = """state => { const { prompts, bands, ranks, state: own } = compute(state, page.trained);
      return { prompts, bands, ranks, own }; }"""
    for state in [s | {"layers": 3} for s in states(6, 7)]:
        found = window.page.evaluate(script, state)
        tokens, w = (np.array([prompt[name] for prompt in found["prompts"]]) for name in ("tokens", "weight"))
        assert len(tokens) == 64
        own = found["own"]
        prompt = Prompt(tokens[..., :2], tokens[..., 2], np.zeros((64, 2)), np.zeros(64))
        for rank in range(4):
            matrix = np.array(found["ranks"][rank]["matrix"], dtype=float)
            cut = cut_of(weights_of(own), own, matrix, rank)
            paths = descent_paths(cut, prompt, step_size=own["eta"], input_step=own["gamma"])
            rests = paths.weights["model"][:, -1] - w
            risk = (rests**2 @ np.array([1.0, own["spread"]])).mean()
            assert found["ranks"][rank]["risk"] == pytest.approx(risk, rel=1e-9)
            if rank == own["rank"]:
                for short, name in NAMES.items():
                    expected = np.quantile(paths.losses()[name], [0.1, 0.5, 0.9], axis=0).T
                    np.testing.assert_allclose(found["bands"][short], expected, rtol=1e-7, atol=1e-9)


def test_draws(window: Window) -> None:
    """The page's numbers are standard normal, and its prompts are of the task they are said to be of."""
    numbers = np.array(
        window.page.evaluate("() => { const d = numerics.normal(5); return Array.from({length: 20000}, d); }")
    )
    assert abs(numbers.mean()) < 5 / np.sqrt(20000)
    assert abs(numbers.var() - 1) < 5 * np.sqrt(2 / 20000)
    assert abs((numbers**4).mean() - 3) < 5 * np.sqrt(96 / 20000)
    assert abs((numbers[1:] * numbers[:-1]).mean()) < 5 / np.sqrt(20000)
    state = {name: control["start"] for name, control in controls().items()} | {
        "shots": 40,
        "spread": 0.5,
        "noise": 0.5,
    }
    script = "state => compute(state, page.trained).prompts"
    drawn = [prompt for seed in (1, 2, 3) for prompt in window.page.evaluate(script, state | {"prompt": seed})]
    tokens, w = (np.array([prompt[name] for prompt in drawn]) for name in ("tokens", "weight"))
    noise = tokens[..., 2] - np.einsum("pnd,pd->pn", tokens[..., :2], w)
    count = noise.size
    for values, variance in ((noise, 0.25), (tokens[..., 0], 1.0), (tokens[..., 1], 0.5), (w, 1.0)):
        assert abs(values.var() / variance - 1) < 6 * np.sqrt(2 / values.size)
    assert abs((noise * tokens[..., 0]).mean()) < 6 * 0.5 / np.sqrt(count)


def test_special_functions(window: Window) -> None:
    """log Γ and ψ against scipy."""
    from scipy.special import gammaln, psi

    xs = [0.5, 1.0, 1.5, 2.25, 7.0, 19.5, 20.0, 33.3, 100.0]
    found = window.page.evaluate("xs => xs.map(x => [numerics.logGamma(x), numerics.digamma(x)])", xs)
    np.testing.assert_allclose(found, np.column_stack([gammaln(xs), psi(xs)]), rtol=1e-13, atol=1e-13)


def test_singular_values(window: Window) -> None:
    """Against numpy, square, tall and of low rank; the vectors are orthonormal where the values are not zero."""
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal(shape) for shape in ((3, 3), (3, 2), (3, 4), (2, 2))]
    matrices += [np.outer(rng.standard_normal(3), rng.standard_normal(3)), np.diag([1.0, 1.0, 0.0])]
    for matrix in matrices:
        found = window.page.evaluate("a => numerics.svd(a)", matrix.tolist())
        values = np.array(found["values"])[: min(matrix.shape)]
        np.testing.assert_allclose(values, np.linalg.svd(matrix, compute_uv=False), rtol=1e-12, atol=1e-15)
        left, right = np.array(found["left"])[:, : len(values)], np.array(found["right"])[:, : len(values)]
        np.testing.assert_allclose((left * values) @ right.T, matrix, atol=1e-13)


def test_trained_weights() -> None:
    """The weights kept are those of good models: near the optimum with one layer, better with each of the next two."""
    task = LinearRegression(2, noise_std=TRAINED["settings"]["noise_std"])
    shots = TRAINED["settings"]["shots"]
    risks = []
    for layers in (1, 2, 3, 4):
        model = weights_of({"model": "trained", "layers": layers})
        risks.append(population_risk(model, task, shots=shots, samples=8192).value)
    assert risks[0] < 1.001 * one_layer_optimum(task, shots=shots)[1]
    assert risks[1] < 0.1 * risks[0]
    assert risks[2] < 0.5 * risks[1]
    assert risks[3] < 1.05 * risks[2]
