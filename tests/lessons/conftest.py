"""A browser with the interactive page open, shared by the tests of a file."""

from collections.abc import Iterator

import pytest
from browser import Window, chromium
from playwright.sync_api import Browser

from icl_theory.lessons import write_page


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
