"""The page in a headless Chromium: quiet, offline, no wider than a phone, and its filters at work.

Without a browser on the path these tests are skipped, and say so; ICL_TEST_BROWSER names one.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import REASON, Window, chromium, find_browser
from ledger import CLAIMS, SECTIONS, VERDICTS, document
from playwright.sync_api import Browser
from schema import problems
from sweep_records import sweep

from icl_theory import verify
from icl_theory.claims.engine.expected_verdicts import expected_verdicts
from icl_theory.report.page.document import page

pytestmark = pytest.mark.skipif(find_browser() is None, reason=REASON)

SHOWN = "[...document.querySelectorAll('article:not([hidden])')].map((element) => element.id)"
ROWS = "document.querySelectorAll('tbody tr[data-verdict]:not([hidden])').length"
STATUS = "document.getElementById('shown-now').textContent"
WIDTHS = "[document.documentElement.scrollWidth, document.body.scrollWidth]"
# Everything that sticks out of the window to the right and is not inside a box that scrolls.
STICKING_OUT = """[...document.querySelectorAll('body *')].filter((element) =>
    element.getBoundingClientRect().right > innerWidth + 1
    && !element.closest('.scroll, .wide, pre') && getComputedStyle(element).position !== 'absolute'
).map((element) => element.outerHTML.slice(0, 100))"""

CUT_CELLS = """[...document.querySelectorAll('.ledger td, .ledger th')].filter((element) =>
    element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1).map((element) => element.textContent)"""
OPEN_DETAILS = "document.querySelectorAll('details').forEach((element) => { element.open = true; })"
OUTSIDE = '<img src="http://127.0.0.1:9/x.png">'
INLINE_SCRIPT = """(() => { const s = document.createElement('script'); s.text = 'window.hurt = 1';
    document.body.append(s); })()"""
PAPER = (680, 1000)
"""The width of A4 between its margins, in pixels."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(document() | {"sweep": sweep()}), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """Opens windows, which are closed after the test."""
    opened: list[Window] = []

    def open_one(*place: Any, **settings: Any) -> Window:
        opened.append(Window(browser, *place, **settings))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def desktop(window: Callable[..., Window], address: str) -> Window:
    return window(address)


def labels(*verdicts: str) -> list[str]:
    return [claim.label for claim, verdict in zip(CLAIMS, VERDICTS, strict=True) if verdict in verdicts]


def assert_quiet(window: Window, address: str) -> None:
    assert window.complaints == []
    assert window.requests == [address]
    assert window.page.evaluate("window.hurt") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(window: Callable[..., Window], address: str, scheme: Any) -> None:
    """The rules of axe-core, with everything unfolded."""
    opened = window(address, color_scheme=scheme)
    opened.page.evaluate(OPEN_DETAILS)
    found = Axe().run(opened.page)
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found.response["violations"]] == []
    # The control: a picture without a name is noticed.
    opened.page.evaluate("document.querySelector('svg[aria-label]').removeAttribute('aria-label')")
    assert [rule["id"] for rule in Axe().run(opened.page).response["violations"]] != []


def test_quiet_page(desktop: Window, address: str) -> None:
    """No console message no request and no script of others."""
    desktop.page.evaluate(OPEN_DETAILS)
    assert_quiet(desktop, address)
    # The control: what the page must not do is seen where it is done, and the policy of the page stops it.
    with desktop.page.expect_console_message(lambda message: "http://127.0.0.1:9/x.png" in message.text):
        desktop.page.evaluate(f"document.body.insertAdjacentHTML('beforeend', '{OUTSIDE}')")
    assert len(desktop.complaints) == 1
    with desktop.page.expect_console_message(lambda message: "inline script" in message.text):
        desktop.page.evaluate(INLINE_SCRIPT)
    assert desktop.page.evaluate("window.hurt") is None


def test_control(window: Callable[..., Window], tmp_path: Path) -> None:
    """The control: a page without a policy that requests a file, logs, throws, and lets a script of others run."""
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='x.png'><script>window.hurt = 1; console.log('a'); throw new Error('b')</script>")
    seen = window(bad.as_uri())
    assert seen.requests == [bad.as_uri(), (tmp_path / "x.png").as_uri()]
    assert {"a", "b"} <= set(seen.complaints)
    assert seen.page.evaluate("window.hurt") == 1


@pytest.mark.parametrize("width", [320, 375, 768, 800, 1000, 1100, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_width(window: Callable[..., Window], address: str, width: int, scheme: str) -> None:
    """Nothing is wider than the window."""
    shown = window(address, width, 800, color_scheme=scheme).page
    shown.evaluate(OPEN_DETAILS)
    assert shown.evaluate("innerWidth") == width
    assert shown.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is (scheme == "dark")
    assert max(shown.evaluate(WIDTHS)) <= width
    assert shown.evaluate(STICKING_OUT) == []
    # The control: something too wide is noticed.
    shown.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=long>'+'x'.repeat(400)+'</p>')")
    shown.evaluate("document.getElementById('long').style.whiteSpace = 'nowrap'")
    assert max(shown.evaluate(WIDTHS)) > width


def test_filters(desktop: Window) -> None:
    """Filters show what they say."""
    shown = desktop.page
    everything = [claim.label for claim in CLAIMS]
    assert shown.evaluate(SHOWN) == everything
    shown.evaluate("document.querySelector('[data-value=FAILS]').click()")
    assert shown.evaluate(SHOWN) == labels("FAILS")
    assert shown.evaluate(ROWS) == 1
    assert shown.evaluate(STATUS) == f"1 of {len(CLAIMS)} statements shown"
    assert shown.evaluate("location.hash") == "#verdict=FAILS"
    assert shown.evaluate("document.querySelector('[data-value=FAILS]').ariaPressed") == "true"
    shown.evaluate("document.querySelector('[data-value=HOLDS]').click()")
    assert shown.evaluate(SHOWN) == labels("FAILS", "HOLDS")
    shown.evaluate("document.querySelector('[data-value=repaired]').click()")
    assert shown.evaluate(SHOWN) == ["never_seen"]
    assert shown.evaluate("location.hash") == "#verdict=FAILS,HOLDS&origin=repaired"
    shown.evaluate("document.querySelector('[data-value=repaired]').click()")
    shown.evaluate("document.querySelector('#show-all').click()")
    assert shown.evaluate(SHOWN) == everything
    assert shown.evaluate("location.hash") == ""
    assert shown.evaluate("document.querySelector('#show-all').disabled") is True
    shown.evaluate("document.querySelector('[data-value=related]').click()")
    assert shown.evaluate(SHOWN) == [c.label for c, s in zip(CLAIMS, SECTIONS, strict=True) if s == "related"]
    assert shown.evaluate("[...document.querySelectorAll('tbody.section')].map((s) => s.hidden)") == [True, False, True]
    assert shown.evaluate("location.hash") == "#section=related"
    shown.evaluate("document.querySelector('#show-all').click()")
    assert shown.evaluate("[...document.querySelectorAll('tbody.section')].some((s) => s.hidden)") is False
    assert desktop.complaints == []


def test_keyboard(desktop: Window) -> None:
    """Filters work by keyboard."""
    shown = desktop.page
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.className") == "skip"
    for _ in range(20):
        shown.keyboard.press("Tab")
        if shown.evaluate("document.activeElement.dataset.value") == "VACUOUS":
            break
    assert shown.evaluate("document.activeElement.dataset.value") == "VACUOUS"
    assert shown.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    shown.keyboard.press("Space")
    assert shown.evaluate(SHOWN) == labels("VACUOUS")
    shown.keyboard.press("Enter")
    assert len(shown.evaluate(SHOWN)) == len(CLAIMS)


def test_address(window: Callable[..., Window], address: str) -> None:
    """The address keeps the view."""
    kept = window(f"{address}#verdict=VACUOUS,OUTSIDE,nonsense&origin=printed")
    assert kept.page.evaluate(SHOWN) == labels("VACUOUS", "OUTSIDE")
    # A link to a hidden claim shows it again.
    kept.page.evaluate("location.hash = 'fails'")
    kept.page.wait_for_selector("#fails", state="visible")
    hostile = window(f"{address}#verdict=%3Cscript%3E")
    assert len(hostile.page.evaluate(SHOWN)) == len(CLAIMS)
    assert kept.complaints == hostile.complaints == []


def test_words(window: Callable[..., Window], address: str) -> None:
    """A search for words finds what a statement says anywhere, in its row and its sheet; the address keeps it."""
    opened = window(address)
    shown = opened.page
    shown.fill("#words", "never_SEEN")
    assert shown.evaluate(SHOWN) == ["never_seen"]
    assert shown.evaluate(ROWS) == 1
    assert shown.evaluate(STATUS) == f"1 of {len(CLAIMS)} statements shown"
    assert shown.evaluate("location.hash") == "#words=never_seen"
    shown.fill("#words", "repaired  off by")  # the origin, and the name of a control: of every word one place
    assert shown.evaluate(SHOWN) == ["never_seen"]
    shown.evaluate("document.querySelector('[data-value=FAILS]').click()")
    assert shown.evaluate(SHOWN) == []
    shown.evaluate("document.querySelector('#show-all').click()")
    assert len(shown.evaluate(SHOWN)) == len(CLAIMS)
    assert shown.evaluate("document.querySelector('#words').value") == ""
    kept = window(f"{address}#words=never_seen%20repaired")
    assert kept.page.evaluate(SHOWN) == ["never_seen"]
    forgiving = window(f"{address}#verdict=vacuous,Outside&origin=PAPER")
    assert forgiving.page.evaluate(SHOWN) == labels("VACUOUS", "OUTSIDE")
    hostile = window(f"{address}#words=%3Cimg%20src=x%20onerror=window.hurt=1%3E")
    assert hostile.page.evaluate("window.hurt") is None
    assert opened.complaints == kept.complaints == forgiving.complaints == hostile.complaints == []


def test_ledger_alone(desktop: Window) -> None:
    """The ledger can be printed without the sheets; afterwards everything is there again."""
    shown = desktop.page
    sheets = "getComputedStyle(document.querySelector('.sheets')).display"
    shown.evaluate("window.print = () => { window.printed = true; }")
    shown.evaluate("document.querySelector('#print-ledger').click()")
    assert shown.evaluate("window.printed") is True
    shown.emulate_media(media="print")
    assert shown.evaluate(sheets) == "none"
    assert shown.evaluate("getComputedStyle(document.querySelector('.ledger')).display") == "block"
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.evaluate(sheets) != "none"
    assert desktop.complaints == []


def test_no_scripts(window: Callable[..., Window], address: str) -> None:
    """The page can be read without scripts."""
    shown = window(address, java_script_enabled=False).page
    assert len(shown.evaluate(SHOWN)) == len(CLAIMS)  # the driver's own scripts still run
    assert shown.evaluate("getComputedStyle(document.querySelector('.filters')).display") == "none"


def test_print(window: Callable[..., Window], address: str) -> None:
    """On paper nothing is cut and the buttons are gone."""
    shown = window(address, *PAPER).page
    shown.emulate_media(media="print")
    assert max(shown.evaluate(WIDTHS)) <= PAPER[0]
    assert shown.evaluate(STICKING_OUT) == []
    assert shown.evaluate(CUT_CELLS) == []
    for name, value in (("overflowX", "visible"), ("maskImage", "none")):
        assert shown.evaluate(f"getComputedStyle(document.querySelector('.wide')).{name}") == value
    assert shown.evaluate("getComputedStyle(document.querySelector('.filters')).display") == "none"
    assert shown.evaluate("getComputedStyle(document.querySelector('details')).display") == "none"


def test_long_formula(window: Callable[..., Window], address: str) -> None:
    """A long formula scrolls within its line."""
    inside, outside = window(address, 375, 800).page.evaluate(
        "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.querySelector('.statement .wide'))"
    )
    assert inside > outside > 200


def test_formula_layout(desktop: Window) -> None:
    """Formulas are laid out as formulas."""
    heights = desktop.page.evaluate(
        "['.statement mfrac', '.statement mi'].map((s) => document.querySelector(s).getBoundingClientRect().height)"
    )
    assert heights[0] > 1.5 * heights[1]


def test_superscripts(desktop: Window) -> None:
    """Without a MATH table the script stands on top of its base: this page brings one where the system has none."""
    rise, size = desktop.page.evaluate(
        "((s) => [s.firstChild.getBoundingClientRect().top - s.lastChild.getBoundingClientRect().top,"
        " parseFloat(getComputedStyle(s).fontSize)])(document.querySelector('.statement msup'))"
    )
    assert 0 < rise < 0.5 * size


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, verify(out=out, seed=2).records


@pytest.mark.slow
def test_whole_run(whole_run: tuple[Path, dict[str, Any]], window: Callable[..., Window]) -> None:
    """The page of a whole run."""
    out, records = whole_run
    assert {claim["label"]: claim["verdict"] for claim in records["claims"]} == expected_verdicts()
    assert problems(records) == []
    assert json.loads((out / "records.json").read_text(encoding="utf-8")) == records
    path = out / "report.html"
    assert path.stat().st_size < 18_000 * len(records["claims"])  # it was 2 MB for 109 claims
    for width in (320, 375, 600, 800, 1000, 1100, 1200):
        seen = window(path.as_uri(), width)
        assert_quiet(seen, path.as_uri())
        assert max(seen.page.evaluate(WIDTHS)) <= width
        assert seen.page.evaluate(STICKING_OUT) == []
        assert seen.page.evaluate(SHOWN) == [claim["label"] for claim in records["claims"]]
    paper = window(path.as_uri(), *PAPER).page
    paper.emulate_media(media="print")
    assert paper.evaluate(STICKING_OUT) == paper.evaluate(CUT_CELLS) == []
    assert max(paper.evaluate(WIDTHS)) <= PAPER[0]
