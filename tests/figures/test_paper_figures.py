"""The figures of the paper: drawn from records alone, nothing cut off, nothing empty, told apart in grey."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from small_grid import made_up_table

import icl_theory
from icl_theory.figures.paper import of_grid, of_models, of_theory
from icl_theory.figures.paper.parts import LOOKS
from icl_theory.grids.edits import TEST, Edit
from icl_theory.runs.figure_records import of_grid as grid_data
from icl_theory.runs.figures import FIGURES

TABLE = made_up_table(1)
FOLDER = Path(icl_theory.__file__).parent / "figures/paper"


def line(label: str, places: list[Any], exact: bool = False, scale: float = 1.0) -> dict[str, Any]:
    mean = [scale * (1.0 + 0.1 * i) for i in range(len(places))]
    return {"label": label, "mean": mean, "stderr": None if exact else [0.05 * m for m in mean]}


DATA: dict[str, Any] = {
    "of_models.least_squares": {
        "dim": 5,
        "zero_risk": 5.0,
        "shots": {"places": [1, 4, 20], "series": [line("a", [1, 4, 20]), line("b", [1, 4, 20], True, 9.0)]},
        "steps": {"places": [0, 50, 800], "series": [line("a", [0, 50, 800])]},
    },
    "of_models.agreement": {
        "steps": [25, 100, 800],
        "difference": [line("gd", [25, 100, 800]), line("gd++", [25, 100, 800], scale=0.1)],
        "cosine": [line("gd", [25, 100, 800]), line("gd++", [25, 100, 800])],
    },
    "of_models.task_rank": {
        "rank": 3,
        "models": [
            {"name": f"{n} layers", "spectrum": line("", [1, 2, 3, 4]), "rise": line("", [1, 2, 3, 4], scale=20.0)}
            for n in (1, 2)
        ],
    },
    "of_theory.information_and_dimension": {"dims": [1, 2, 3], "series": [line("a", [1, 2, 3]), line("b", [1, 2, 3])]},
    "of_theory.truncation_trap": {"ranks": [0, 1, 2], "series": [line("best", [0, 1, 2], True)]},
    "of_theory.theorem_2": {"lengths": [1.0, 10.0, 50.0], "series": [line("gap", [1, 2, 3], scale=0.1)]},
    "of_grid.exact_gain": {
        "regimes": ["short", "converged"],
        "tasks": [{"name": "low rank", "series": [line("a", [1, 2]), line("b", [1, 2], scale=30.0)]}],
    },
    "of_theory.noise_quantiles": {
        "demonstrations": 60,
        "panels": [{"shots": b, "quantiles": [0.1, 1.0, 3.0], "distances": [0.2, 0.9, 4.0]} for b in (2, 30)],
    },
}


def drawn(drawer: str) -> Figure:
    module, _, name = drawer.partition(".")
    place = {"of_grid": of_grid, "of_models": of_models, "of_theory": of_theory}[module]
    if drawer not in DATA:
        maker = "all_findings" if name == "findings" else name
        return getattr(place, name)(getattr(grid_data, maker)(TABLE))
    return getattr(place, name)(DATA[drawer])


DRAWERS = sorted({figure.drawer for figure in FIGURES.values()} - {"of_theory.ladder", "of_theory.readout"})


@pytest.mark.parametrize("drawer", DRAWERS)
def test_nothing_is_cut_off(drawer: str) -> None:
    """Every text lies inside of the figure, every panel has something in it and a label where it needs one."""
    figure = drawn(drawer)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    whole, box = figure.bbox_inches, figure.get_tightbbox()
    assert box.x0 > -0.02
    assert box.y0 > -0.02
    assert box.x1 < whole.x1 + 0.02
    assert box.y1 < whole.y1 + 0.02
    for axis in figure.axes:
        assert axis.lines or axis.collections or axis.patches or axis.containers
    assert figure.get_figwidth() in (3.25, 6.75)


def test_series_are_told_apart_in_grey() -> None:
    """Markers and dashes differ, whatever the colours."""
    assert len({str(marker) for _, marker, _ in LOOKS}) == len(LOOKS)
    assert len({str(dashes) for _, _, dashes in LOOKS}) == len(LOOKS)


def test_figures_compute_nothing() -> None:
    """No import of what computes: only matplotlib, numpy and what reads records."""
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("icl_theory"):
                assert str(node.module).split(".")[1] in ("figures", "records"), (path.name, node.module)


def test_clipping_by_layer_data() -> None:
    """Means and standard errors over seeds of the changes of the table, at rate 0 exactly none."""
    found = grid_data.clipping_by_layer(TABLE)["populations"]
    assert [population["name"] for population in found] == ["causal softmax, MLP, classification", "linear, regression"]
    cell: Any = {"attention": "linear", "mlp": "none", "task": "regression", "regime": "converged"}
    layer = found[1]["modules"]["key"][2]
    assert layer["rates"] == pytest.approx([0.0, 1 / 6, 0.5, 5 / 6])
    values = TABLE.changes(cell, 20, [Edit("key", 2, 3)], TEST)[0]
    assert layer["mean"][2] == pytest.approx(values.mean())
    assert layer["stderr"][2] == pytest.approx(values.std(ddof=1) / np.sqrt(5))
    assert (layer["mean"][0], layer["stderr"][0]) == (0.0, 0.0)
    assert set(found[0]["modules"]) == {"value", "key", "query", "attention", "mlp"}


def test_shots_data() -> None:
    """Without demonstrations nothing changes."""
    lines = grid_data.clipping_by_shots(TABLE)["populations"][0]["series"]
    assert [line["label"] for line in lines] == [f"{p} layer, rank {r}" for p in ("first", "last") for r in (3, 1)]
    assert all(line["mean"][0] == line["stderr"][0] == 0.0 for line in lines)


def test_conditions_data() -> None:
    """Logarithms of condition numbers by layer."""
    found = grid_data.conditions(TABLE)["populations"][1]["matrices"]["query"]
    cell: Any = {"attention": "linear", "mlp": "none", "task": "regression", "regime": "converged"}
    assert found["mean"] == pytest.approx(np.log(TABLE.conditions(cell, ["query"])).mean(axis=0).tolist())


def test_algorithm_1_data() -> None:
    """The gains are those of the finding, without its margin."""
    from icl_theory.grids import findings
    from icl_theory.grids.measures import MEASURES

    found = grid_data.algorithm_1(TABLE)
    cell: Any = {"attention": "softmax", "mlp": "relu", "task": "classification", "regime": "noisy", "shots": 20}
    finding = findings()["algorithm_1"]
    gains = MEASURES["algorithm_1"](TABLE, finding, cell | {"module": "attention"}) + 0.005
    series = next(s for s in found["tasks"][2]["series"] if s["label"] == "softmax, MLP")
    assert series["mean"][found["regimes"].index("noisy")] == pytest.approx(gains.mean())


def test_heat_map_data() -> None:
    """A row for each attention, MLP and task; no MLP, no cell."""
    found = grid_data.deep_shallow(TABLE)
    assert (len(found["rows"]), len(found["columns"]), len(found["groups"])) == (18, 25, 5)
    plain = next(i for i, row in enumerate(found["rows"]) if row == "regression, linear")
    assert found["outcomes"][plain][4] == ""
    assert {outcome for row in found["outcomes"] for outcome in row} <= {"", "for", "against", "undecided"}
