"""The system's Chromium, driven by playwright; no browser is ever downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--disable-gpu", "--disable-quic")
REASON = "NOT CHECKED in a browser: no Chromium on the path (Debian: apt-get install chromium)"


def find_browser() -> str | None:
    """Path of a Chromium or Chrome, or None. ICL_TEST_BROWSER overrides the search."""
    named = os.environ.get("ICL_TEST_BROWSER")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. While it is open, this thread has a running event loop: no other can be started in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        yield browser
        browser.close()


class Window:
    """One page with settings of its own, everything it has requested, and everything it has complained of."""

    page: Page
    requests: list[str]
    """Addresses; what is part of the page itself (data:) is not among them."""
    complaints: list[str]
    """Console messages, exceptions, and violations of the page's policy, which Chromium reports on the console."""

    def __init__(self, browser: Browser, address: str, width: int = 1200, height: int = 900, **settings: Any) -> None:
        """Open the address. Args: settings: of playwright's `Browser.new_context`. Below 500 pixels it is a phone."""
        size: Any = {"width": width, "height": height}
        self._context = browser.new_context(viewport=size, is_mobile=width < 500, **settings)
        self.page, self.requests, self.complaints = self._context.new_page(), [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)

    def close(self) -> None:
        self._context.close()
