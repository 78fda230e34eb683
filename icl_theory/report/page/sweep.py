"""Bound against rank on the page: the means over seeds that the sweep's figure shows, as a table."""

from collections.abc import Sequence
from typing import Any

from icl_theory.records.documents import number
from icl_theory.records.seed_means import estimate_at, over_ranks
from icl_theory.report.page.axes import spelled
from icl_theory.report.page.elements import Markup, tag
from icl_theory.report.page.formulas import sentence


def sweep_section(records: Sequence[dict[str, Any]]) -> Markup | None:
    """One row per (layer, module, rank) of a sweep's records; None without a sweep. Units of the loss."""
    if not records:
        return None
    names = list(records[0]["rungs"])
    paths = [("gap",), *(("rungs", name) for name in names), ("population_loss",), ("population_risk",)]
    rungs = (name.replace("_", " ") for name in names)
    heads = ("module", "layer", "rank", sentence("d_S"), "gap", *rungs, "loss", "risk over tasks")
    head = tag("tr", *(tag("th", name, scope="col") for name in heads))
    places = dict.fromkeys((r["module"], r["layer"], r["rank"]) for r in records)
    rows = [_row(records, place, paths) for place in places]
    seeds, trivial = len({record["seed"] for record in records}), spelled(number(records[0]["trivial"]))
    words = (
        "Measured generalization gap and upper bounds on it after truncation to a rank, for models trained in this "
        f"run: means over {seeds} seeds, in units of the loss. A bound above {trivial} says nothing."
    )
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    scroll = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Bound against rank")
    return tag("section", tag("h2", "Bound against rank"), tag("p", words), scroll, class_="sweep")


def _row(records: Sequence[dict[str, Any]], place: tuple[Any, ...], paths: Sequence[tuple[str, ...]]) -> Markup:
    module, layer, rank = place
    own = [r for r in records if (r["module"], r["layer"], r["rank"]) == place]
    supports = sorted({record["support"][layer] for record in own})
    dimension = "–".join(map(str, dict.fromkeys((supports[0], supports[-1]))))
    values = [spelled(float(over_ranks(own, estimate_at(*path))[1][0])) for path in paths]
    cells = (layer, rank, dimension, *values)
    return tag("tr", tag("th", module, scope="row"), *(tag("td", str(cell)) for cell in cells))
