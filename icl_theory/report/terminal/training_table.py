"""The result of a training as a table for the terminal."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def table(document: dict[str, Any]) -> "Table":
    """Loss and risk of every model and the one-layer optimum, and the accuracy where the task is a classification.

    On a finite pre-training set the loss is that of the set, and the risk lies above it.
    """
    from rich import box
    from rich.table import Table

    from icl_theory.records.documents import from_plain

    known = document["one_layer_optimum"] is not None
    reference = from_plain(document["one_layer_optimum"]) if known else math.nan
    title = (f"one-layer optimum {reference:.4g}, " if known else "") + f"{document['steps_done']} steps"
    last = ("accuracy",) if "accuracy" in document else ()
    columns = "seed", "loss, last tenth", "population risk", "over the one-layer optimum", *last
    result = Table(*columns, box=box.SIMPLE, title=title)
    for seed, risk in enumerate(document["population_risk"]):
        if risk is None:
            result.add_row(str(seed), "", "diverged", "")
            continue
        value, error = from_plain(risk["value"]), from_plain(risk["stderr"])
        share = f"{value / reference - 1:+.2%}" if known else "not known"
        right = [f"{from_plain(document[name][seed]['value']):.3f}" for name in last]
        loss = f"{from_plain(document['last_loss'][seed]):.4g}"
        result.add_row(str(seed), loss, f"{value:.5g}" + (f" +- {error:.1g}" if error else " exact"), share, *right)
    return result
