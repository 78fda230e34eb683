"""Searches for a truncation that helps as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from icl_theory.records.documents import from_plain
from icl_theory.report.terminal.tables import short

_NAMES = {
    "chosen": "choice of Algorithm 1, on test prompts",
    "validation": "the same where it was chosen (optimistic)",
    "random_layer": "a random layer, its rank chosen alike",
    "in_metric": "the chosen layer, cut in the metric of the prompts",
}


def search_table(entries: Sequence[dict[str, Any]]) -> Table:
    """One row per model and search: what was chosen, its gains, and those of two other choices, with ± 1.96 s.e."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    heads = ("model", "search", "layer", "rank", "test\nloss", "where\nchosen, %", "on test\nprompts, %")
    for name in (*heads, "random\nlayer, %", "in the\nmetric, %"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        chosen, metric, loss = entry["chosen"], entry["in_metric"], from_plain(entry["test_loss"]["value"])
        gains = (chosen["validation_gain"], chosen["test_gain"], entry["random_layer"], metric and metric["test_gain"])
        where = map(str, (entry["seed"], entry["search"], chosen["layer"]))
        table.add_row(*where, f"{chosen['rank']}/{max(chosen['ranks'])}", short(loss), *(_of(g, loss) for g in gains))
    return table


def _of(gain: dict[str, Any] | None, loss: float) -> str:
    """A gain in per cent of the loss, with half of its interval."""
    if gain is None:
        return "-"
    low, high = (from_plain(end) for end in gain["interval"])
    return f"{100 * from_plain(gain['value']) / loss:+.2f}±{50 * (high - low) / loss:.2f}"


def search_notes(document: dict[str, Any]) -> list[str]:
    """The summary: every gain as a share of the test loss, with its interval over models."""
    lines = ["Gains in per cent of the untouched model's loss on the test prompts. Over models, with 95 % intervals:"]
    for name, text in _NAMES.items():
        found = document["summary"][name]
        if found is None:
            continue
        mean, interval = from_plain(found["mean"]), "one model"
        if found["low"] is not None:
            interval = f"{from_plain(found['low']):+.2%} to {from_plain(found['high']):+.2%}"
        counts = f"{found['gained']} of {found['models']} gained, {found['lost']} lost"
        lines.append(f"  {text}: {mean:+.2%} ({interval}; {counts})")
    return lines
