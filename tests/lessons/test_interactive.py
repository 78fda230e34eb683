"""The interactive page against the library: random states of its controls, computed by a browser, to 1e-9."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import REASON, Window, chromium, find_browser
from helpers import assert_close
from playwright.sync_api import Browser

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
from icl_theory.claims.engine.expected_verdicts import expected_verdicts
from icl_theory.information.forward_pass.single_token import second_moment_information
from icl_theory.information.ladder.large_sample_limit import observation_information
from icl_theory.lessons import write_lesson, write_page
from icl_theory.lessons.interactive import CLAIMS, FOLDER, controls, page

pytestmark = pytest.mark.skipif(find_browser() is None, reason=REASON)
TRAINED = json.loads((FOLDER / "trained.json").read_text("utf-8"))
CLIP, NAMES = 4.0, {"model": "model", "descent": "gradient descent", "plusPlus": "GD++"}
ABSOLUTE = 1e-9


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(tmp_path_factory.mktemp("page") / "page.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def window(browser: Browser, address: str) -> Iterator[Window]:
    opened = Window(browser, address)
    yield opened
    opened.close()


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


def test_controls(window: Window) -> None:
    """Sliders change what is said; a layer beyond the depth and too few demonstrations are brought back."""
    page_of, said = window.page, window.page.locator("#said")
    page_of.click("#again")
    before = said.inner_text()
    page_of.focus("#rank")
    page_of.keyboard.press("ArrowLeft")
    page_of.wait_for_function("before => document.getElementById('said').textContent !== before", arg=before)
    assert "Rank 2 of key" in said.inner_text()
    page_of.fill("#layer", "3")
    page_of.fill("#layers", "2")
    page_of.wait_for_function("() => document.getElementById('layer-value').textContent === '2'")
    page_of.fill("#shots", "40")
    page_of.fill("#total", "3")
    page_of.wait_for_function("() => document.getElementById('total-value').textContent === '41'")
    page_of.select_option("#model", "constructed")
    page_of.fill("#layers", "1")
    page_of.wait_for_function("() => document.getElementById('said').textContent.startsWith('After 1 layer,')")
    page_of.click("#play")
    page_of.wait_for_timeout(700)
    assert page_of.locator("#contour circle").count() in (3, 6)
    page_of.click("#again")
    page_of.wait_for_function("() => document.getElementById('said').textContent.startsWith('After 3 layers')")


def test_nothing_outside(browser: Browser, address: str) -> None:
    """No request but the file, no complaint, on a phone and in the dark too; nothing is wider than the screen."""
    for width, settings in ((1200, {}), (375, {"color_scheme": "dark", "reduced_motion": "reduce"})):
        opened = Window(browser, address, width, 900, **settings)
        opened.page.wait_for_function("() => document.getElementById('said').textContent.length > 20")
        opened.page.click("#play")
        opened.page.wait_for_timeout(100)
        assert opened.requests == [address]
        assert opened.complaints == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        for name in ("contour", "losses", "ladder", "staircase"):
            outside = opened.page.evaluate(
                """name => { const box = document.getElementById(name).getBoundingClientRect();
                  return [...document.querySelectorAll(`#${name} text`)].filter(text => {
                    const own = text.getBoundingClientRect();
                    return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1
                      || own.bottom > box.bottom + 1; }).map(text => text.textContent); }""",
                name,
            )
            assert outside == []
        opened.close()


def test_accessible(browser: Browser, address: str, tmp_path: Path) -> None:
    """The rules of axe-core, in the light and in the dark: of the page, and of a lesson with results."""
    lesson = write_lesson(2, tmp_path / "two.html").as_uri()
    for place in (address, lesson):
        for scheme in ("light", "dark"):
            opened = Window(browser, place, 900, 900, color_scheme=scheme)
            opened.page.wait_for_timeout(200)
            found = Axe().run(opened.page)
            assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found.response["violations"]] == []
            opened.close()


def test_labels() -> None:
    """Every control has a label, every picture a name, the page a language; it is small."""
    text = page()
    for name in controls():
        assert f'<label for="{name}"' in text
        assert f'id="{name}"' in text
    assert text.count('role="img" aria-label=') == 4
    assert '<html lang="en">' in text
    assert len(text.encode()) < 400_000
    assert "<math" in text
    for label in CLAIMS:
        row = re.search(rf"<dt>{label}</dt><dd>.*?<strong>(\w+)</strong>", text)
        assert row is not None
        assert row[1] == expected_verdicts()[label]
    for name, control in controls().items():
        if "range" in control:
            low, high, step = control["range"]
            assert f'id="{name}" min="{low}" max="{high}" step="{step}"' in text


def test_packaged(tmp_path: Path) -> None:
    """All parts of the page are files of the package."""
    assert {path.name for path in FOLDER.iterdir()} == {
        *("numerics.js", "descent.js", "bounds.js", "state.js", "view.js", "page.js", "page.css", "page.html"),
        "trained.json",
    }
    assert write_page(tmp_path / "page.html").read_text("utf-8") == page()
