"""Bound against rank on the page: a row per layer, module and rank, and the numbers in it by hand."""

import re

from ledger import document
from page_reader import Reader
from sweep_records import sweep

from icl_theory.report.page.document import page
from icl_theory.report.page.sweep import sweep_view
from icl_theory.report.page.templates import filled


def test_row() -> None:
    """Gaps that say where they belong: 100 x layer + 10 x module + rank."""
    records = sweep(seeds=2, modules=("value", "key"), layers=2)
    for record in records:
        record["gap"]["value"] = 100.0 * record["layer"] + 10.0 * (record["module"] == "key") + record["rank"]
    rows = re.findall(
        r"<tr><th[^>]*>(value|key)</th><td>(\d)</td><td>(\d)</td><td>[^<]*</td><td>([^<]*)</td>",
        filled("sweep.html", sweep=sweep_view(records)).split("</table>")[0],
    )
    assert len(rows) == 2 * 2 * 6
    for module, layer, rank, gap in rows:
        assert float(gap) == 100 * int(layer) + 10 * (module == "key") + int(rank)


def test_bound_against_rank() -> None:
    """Bound against rank is shown when there is a sweep."""
    records = document() | {"sweep": sweep()}
    read = Reader(page(records))
    table = next(text for found, text in read.all("section") if found.get("class") == "sweep")
    assert "gaussian" in table
    assert table.count("value0") == 2 * len({r["rank"] for r in records["sweep"]})
    # The mean over three seeds of the Gaussian rung at rank 1, by hand.
    values = [r["rungs"]["gaussian"]["value"] for r in records["sweep"] if r["rank"] == 1]
    assert len(values) == 3
    row = next(text for _, text in read.all("tr") if text.startswith("value01"))
    assert f"{sum(values) / 3:.3f}" in row
    assert "+∞" in row
