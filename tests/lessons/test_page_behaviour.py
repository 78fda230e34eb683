"""The interactive page as a reader has it: its controls, a phone, the dark, no network, rules of accessibility."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import REASON, Window, find_browser
from playwright.sync_api import Browser

from icl_theory.claims.engine.expected_verdicts import expected_verdicts
from icl_theory.lessons import write_lesson, write_page
from icl_theory.lessons.interactive import CLAIMS, FOLDER, controls, page

pytestmark = pytest.mark.skipif(find_browser() is None, reason=REASON)


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
