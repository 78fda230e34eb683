"""The picture of README: the first rows of the report's ledger, taken by the system's Chromium.

icl-theory verify --out runs/verify
python paper_figures/ledger_picture.py runs/verify/report.html [--out docs/ledger.png]
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTH, HEIGHT = 1000, 760


def main() -> int:
    """Open the report, scroll to the ledger, save what the window shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.html of a run")
    parser.add_argument("--out", type=Path, default=Path("docs/ledger.png"), help="the picture (default: %(default)s)")
    arguments = parser.parse_args()
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_path is None or not arguments.report.is_file():
        parser.error("needs a report.html and Chromium or Chrome on the path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(arguments.report.resolve().as_uri())
        page.locator("table").first.evaluate("table => window.scrollTo(0, table.getBoundingClientRect().top)")
        page.screenshot(path=arguments.out)
        browser.close()
    print(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
