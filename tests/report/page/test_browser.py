"""The page in a headless Chromium: quiet, offline, no wider than a phone, and its filters at work.

Without a browser on the path these tests are skipped, and say so; ICL_TEST_BROWSER names one.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import REASON, Browser, find_browser
from ledger import CLAIMS, SHELVES, VERDICTS, document
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    assert program is not None
    running = Browser(program, tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(document() | {"sweep": sweep()}), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser: Browser, address: str) -> Browser:
    browser.resize(1200, 900)
    browser.media()
    browser.open(address)
    return browser


def labels(*verdicts: str) -> list[str]:
    return [claim.label for claim, verdict in zip(CLAIMS, VERDICTS, strict=True) if verdict in verdicts]


def assert_quiet(browser: Browser, address: str) -> None:
    assert browser.complaints() == []
    # The font of the formulas is part of the page.
    asked = [url.split("#")[0] for url in browser.requests()]
    assert [url for url in asked if not url.startswith("data:font/woff;base64,")] == [address]
    assert browser.evaluate("window.hurt") is None


def test_no_console_message_no_request_and_no_script_of_others(opened: Browser, address: str) -> None:
    opened.evaluate("document.querySelectorAll('details').forEach((element) => { element.open = true; })")
    assert_quiet(opened, address)
    # The control: what the page must not do is seen where it is done, and the policy of the page stops it.
    opened.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x.png\">')")
    opened.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert opened.complaints()
    opened.evaluate("(() => { const s = document.createElement('script'); s.text = 'window.hurt = 1'; "
                    "document.body.append(s); })()")  # fmt: skip
    assert opened.evaluate("window.hurt") is None


@pytest.mark.parametrize("width", [320, 375, 768, 800, 1000, 1100, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(browser: Browser, address: str, width: int, scheme: str) -> None:
    browser.resize(width, 800, mobile=width < 500)
    browser.media(scheme=scheme)
    browser.open(address)
    browser.evaluate("document.querySelectorAll('details').forEach((element) => { element.open = true; })")
    assert browser.evaluate("innerWidth") == width
    assert max(browser.evaluate(WIDTHS)) <= width
    assert browser.evaluate(STICKING_OUT) == []
    # The control: something too wide is noticed.
    browser.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=long>'+'x'.repeat(400)+'</p>')")
    browser.evaluate("document.getElementById('long').style.whiteSpace = 'nowrap'")
    assert max(browser.evaluate(WIDTHS)) > width


def test_filters_show_what_they_say(opened: Browser) -> None:
    everything = [claim.label for claim in CLAIMS]
    assert opened.evaluate(SHOWN) == everything
    opened.evaluate("document.querySelector('[data-value=FAILS]').click()")
    assert opened.evaluate(SHOWN) == labels("FAILS")
    assert opened.evaluate(ROWS) == 1
    assert opened.evaluate(STATUS) == f"1 of {len(CLAIMS)} statements shown"
    assert opened.evaluate("location.hash") == "#verdict=FAILS"
    assert opened.evaluate("document.querySelector('[data-value=FAILS]').ariaPressed") == "true"
    opened.evaluate("document.querySelector('[data-value=HOLDS]').click()")
    assert opened.evaluate(SHOWN) == labels("FAILS", "HOLDS")
    opened.evaluate("document.querySelector('[data-value=repaired]').click()")
    assert opened.evaluate(SHOWN) == ["never_seen"]
    assert opened.evaluate("location.hash") == "#verdict=FAILS,HOLDS&origin=repaired"
    opened.evaluate("document.querySelector('[data-value=repaired]').click()")
    opened.evaluate("document.querySelector('#show-all').click()")
    assert opened.evaluate(SHOWN) == everything
    assert opened.evaluate("location.hash") == ""
    assert opened.evaluate("document.querySelector('#show-all').disabled") is True
    opened.evaluate("document.querySelector('[data-value=related]').click()")
    assert opened.evaluate(SHOWN) == [c.label for c, s in zip(CLAIMS, SHELVES, strict=True) if s == "related"]
    assert opened.evaluate("[...document.querySelectorAll('tbody.shelf')].map((s) => s.hidden)") == [True, False, True]
    assert opened.evaluate("location.hash") == "#shelf=related"
    opened.evaluate("document.querySelector('#show-all').click()")
    assert opened.evaluate("[...document.querySelectorAll('tbody.shelf')].some((s) => s.hidden)") is False
    assert opened.complaints() == []


def test_filters_work_by_keyboard(opened: Browser) -> None:
    opened.press("Tab", 9)
    assert opened.evaluate("document.activeElement.className") == "skip"
    for _ in range(20):
        opened.press("Tab", 9)
        if opened.evaluate("document.activeElement.dataset.value") == "VACUOUS":
            break
    assert opened.evaluate("document.activeElement.dataset.value") == "VACUOUS"
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.press(" ", 32, " ")
    assert opened.evaluate(SHOWN) == labels("VACUOUS")
    opened.press("Enter", 13, "\r")
    assert len(opened.evaluate(SHOWN)) == len(CLAIMS)


def test_the_address_keeps_the_view(browser: Browser, address: str) -> None:
    browser.open("about:blank")
    browser.open(f"{address}#verdict=VACUOUS,OUTSIDE,nonsense&origin=printed")
    assert browser.evaluate(SHOWN) == labels("VACUOUS", "OUTSIDE")
    # A link to a hidden claim shows it again.
    browser.evaluate("location.hash = 'fails'; new Promise((done) => setTimeout(done, 50))")
    assert browser.evaluate("document.getElementById('fails').hidden") is False
    browser.open("about:blank")
    browser.open(f"{address}#verdict=%3Cscript%3E")
    assert len(browser.evaluate(SHOWN)) == len(CLAIMS)
    assert browser.complaints() == []


def test_the_page_can_be_read_without_scripts(browser: Browser, address: str) -> None:
    browser.javascript(on=False)
    try:
        browser.open(address)
        shown = browser.evaluate(SHOWN)  # the debugger's own scripts still run
        assert len(shown) == len(CLAIMS)
        assert browser.evaluate("getComputedStyle(document.querySelector('.filters')).display") == "none"
    finally:
        browser.javascript(on=True)


def test_on_paper_nothing_is_cut_and_the_buttons_are_gone(opened: Browser) -> None:
    opened.resize(680, 1000)  # the width of A4 between its margins
    opened.media(kind="print")
    assert max(opened.evaluate(WIDTHS)) <= 680
    assert opened.evaluate(STICKING_OUT) == []
    assert opened.evaluate(CUT_CELLS) == []
    for name, value in (("overflowX", "visible"), ("maskImage", "none")):
        assert opened.evaluate(f"getComputedStyle(document.querySelector('.wide')).{name}") == value
    assert opened.evaluate("getComputedStyle(document.querySelector('.filters')).display") == "none"
    assert opened.evaluate("getComputedStyle(document.querySelector('details')).display") == "none"


def test_a_long_formula_scrolls_within_its_line(browser: Browser, address: str) -> None:
    browser.media()
    browser.resize(375, 800, mobile=True)
    browser.open(address)
    inside, outside = browser.evaluate(
        "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.querySelector('.statement .wide'))"
    )
    assert inside > outside > 200


def test_formulas_are_laid_out_as_formulas(opened: Browser) -> None:
    heights = opened.evaluate(
        "['.statement mfrac', '.statement mi'].map((s) => document.querySelector(s).getBoundingClientRect().height)"
    )
    assert heights[0] > 1.5 * heights[1]


def test_superscripts_do_not_float(opened: Browser) -> None:
    """Without a MATH table the script stands on top of its base: this page brings one where the system has none."""
    rise, size = opened.evaluate(
        "((s) => [s.firstChild.getBoundingClientRect().top - s.lastChild.getBoundingClientRect().top,"
        " parseFloat(getComputedStyle(s).fontSize)])(document.querySelector('.statement msup'))"
    )
    assert 0 < rise < 0.5 * size


@pytest.mark.slow
def test_the_page_of_a_whole_run(browser: Browser, tmp_path: Path) -> None:
    report = verify(out=tmp_path / "run", seed=2)
    assert {claim["label"]: claim["verdict"] for claim in report.records["claims"]} == expected_verdicts()
    assert problems(report.records) == []
    path = tmp_path / "run" / "report.html"
    assert path.stat().st_size < 2_000_000
    browser.media()
    for width in (320, 375, 600, 800, 1000, 1100, 1200):
        browser.resize(width, 900, mobile=width < 500)
        browser.open(path.as_uri())
        assert_quiet(browser, path.as_uri())
        assert max(browser.evaluate(WIDTHS)) <= width
        assert browser.evaluate(STICKING_OUT) == []
        assert browser.evaluate(SHOWN) == [claim["label"] for claim in report.records["claims"]]
    browser.media(kind="print")
    browser.resize(680, 1000)
    assert browser.evaluate(STICKING_OUT) == browser.evaluate(CUT_CELLS) == []
    assert max(browser.evaluate(WIDTHS)) <= 680
    assert json.loads((tmp_path / "run" / "records.json").read_text(encoding="utf-8")) == report.records
