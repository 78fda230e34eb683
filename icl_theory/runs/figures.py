"""The figures run: a record for every figure, kept; the figure drawn from it, with its caption beside it.

Importing this file is quick: nothing heavy is loaded before `run`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from icl_theory.core.progress import Progress
from icl_theory.runs.figures_config import FigureName, FiguresConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 1
SEEDS = {"quick": 4, "full": 16}
FORMATS = ("pdf", "png")
Drawer = Callable[[dict[str, Any]], "Figure"]


@dataclass(frozen=True)
class PaperFigure:
    """A figure: what makes its data, what draws them, and what is said below it."""

    maker: str
    """Function of `runs.figure_records`, as module.function."""
    drawer: str
    """Function of `figures.paper`, likewise."""
    caption: str
    """With {seeds} where the number of models belongs."""
    of_grid: bool = False
    """Whether the data are those of the registered grid."""


_GRID = "Models of the registered grid, {seeds} seeds in every cell; bars are 1.96 standard errors over seeds. "
FIGURES: dict[FigureName, PaperFigure] = {
    "clipping_by_layer": PaperFigure(
        "of_grid.clipping_by_layer",
        "of_grid.clipping_by_layer",
        "Counterpart of Figure 1 of the paper. Change of the test error by clipping one module of one of three layers, "
        "20 demonstrations shown as in training, d = 5; converged models. " + _GRID,
        True,
    ),
    "clipping_by_shots": PaperFigure(
        "of_grid.clipping_by_shots",
        "of_grid.clipping_by_shots",
        "Counterpart of Figure 2 of the paper. Change of the test error by clipping W_V, W_K and W_Q of the first or "
        "of the last of three layers, against the demonstrations shown; trained at 20. Without demonstrations the "
        "prediction is 0 whatever the weights. " + _GRID,
        True,
    ),
    "conditions": PaperFigure(
        "of_grid.conditions",
        "of_grid.conditions",
        "Counterpart of Figure 3 of the paper. Condition numbers by layer, geometric means; converged models. " + _GRID,
        True,
    ),
    "algorithm_1": PaperFigure(
        "of_grid.algorithm_1",
        "of_grid.algorithm_1",
        "Counterpart of Figure 4 of the paper. Gain of Algorithm 1 on untouched prompts (the deeper of the two layers "
        "with the largest condition numbers, all of its attention clipped to the rank that validation prompts prefer), "
        "20 demonstrations. " + _GRID,
        True,
    ),
    "least_squares": PaperFigure(
        "of_models.least_squares",
        "of_models.least_squares",
        "Counterpart of Figure 5 of the paper. Left: risk against the number of demonstrations, linear attention "
        "trained for 800 steps at 20 of them; least squares is infinite at N = d - 1, d and d + 1, and three layers "
        "explode on few demonstrations, where their risk (up to 1e24) is not drawn. Right: risk at 20 "
        "demonstrations along training, every point a run of its own. d = 5, label noise 0.5, {seeds} seeds, bars are "
        "1.96 standard errors over seeds.",
    ),
    "deep_shallow": PaperFigure(
        "of_grid.deep_shallow",
        "of_grid.deep_shallow",
        "Finding P2, cell by cell: does clipping to rank 1 harm the last of three layers less than the first? Plus: "
        "the 95 % interval over seeds says so; minus: it says the reverse. 20 demonstrations. {seeds} seeds a cell.",
        True,
    ),
    "findings": PaperFigure(
        "of_grid.all_findings",
        "of_grid.findings",
        "Every finding on the registered grid: share of cells whose 95 % interval over {seeds} seeds is for it, "
        "against it, or neither.",
        True,
    ),
    "exact_gain": PaperFigure(
        "of_prediction.exact_gain",
        "of_grid.exact_gain",
        "When truncation can help: change of the exact population risk of one-layer models at the best rank below the "
        "full one (no search can gain more), by training and use; below 0 it helps. {seeds} seeds, bars are 1.96 "
        "standard errors over seeds.",
        True,
    ),
    "ladder": PaperFigure(
        "of_theory.sweep",
        "of_theory.ladder",
        "Bounds on the generalization gap against the rank of W_K, one layer trained for 400 steps; d = 5, N = 80, "
        "b = 20, loss clipped at 4, 2 task vectors, {seeds} seeds.",
    ),
    "readout": PaperFigure(
        "of_theory.sweep",
        "of_theory.readout",
        "The same sweep: truncating W_V lowers the bound on all of W, although neither the prediction nor its "
        "information about the demonstrations changes; truncating W_K or W_Q lowers both. {seeds} seeds.",
    ),
    "information_and_dimension": PaperFigure(
        "of_theory.information_and_dimension",
        "of_theory.information_and_dimension",
        "Information about N = 160 demonstrations, b = 40 shown, one layer trained for 400 steps; bars are 1.96 "
        "standard errors over task vectors, half as many as seeds ({seeds}).",
    ),
    "truncation_trap": PaperFigure(
        "of_theory.truncation_trap",
        "of_theory.truncation_trap",
        "Exact risk of the one-layer optimum for inputs with variances 4, 2, 1, 1/2, 1/4 (label noise 0.5, N = 20): "
        "the largest singular values belong to the smallest inputs, so that plain truncation keeps the wrong ones.",
    ),
    "theorem_2": PaperFigure(
        "of_theory.theorem_2",
        "of_theory.theorem_2",
        "Theorem 2 as printed at D = 1: once log h² spreads widely, the gap exceeds it (N = 5, b = 1, continuous loss "
        "in [0, 1]). {seeds} times 50000 runs; bars are 1.96 standard errors.",
    ),
    "noise_quantiles": PaperFigure(
        "of_theory.noise_quantiles",
        "of_theory.noise_quantiles",
        "Noise of the implicit gradient of a subset of b demonstrations, d = 2: squared Mahalanobis distances of 400 "
        "subsets against Gaussian quantiles. One set of N = 60 demonstrations.",
    ),
    "agreement": PaperFigure(
        "of_models.agreement",
        "of_models.agreement",
        "Trained models with three layers against the best fitting three steps of gradient descent and of "
        "GD++: root mean square difference of predictions, and cosine of their derivatives by the query. "
        "d = 5, {seeds} seeds, every point a run of its own; bars are 1.96 standard errors over seeds.",
    ),
    "task_rank": PaperFigure(
        "of_models.task_rank",
        "of_models.task_rank",
        "Tasks in 3 of d = 10 dimensions: singular values of W_KᵀW_Q of the first layer, and rise of the risk when it "
        "is truncated in all layers. Dashed: 1 %. {seeds} seeds, bars are 1.96 standard errors over seeds.",
    ),
}
"""By name; the order is that of the paper, then ours."""


def caption_of(name: FigureName) -> str:
    """What is said below a figure, with the seeds of the full profile.

    Args:
        name: of the figure.
    """
    return FIGURES[name].caption.format(seeds=SEEDS["full"]).strip()


def prepare(out: str | Path, *, overwrite: bool, resume: bool) -> Path:
    """The directory of the figures: new, emptied of earlier records, or as it was left.

    Raises: ValueError for a directory in use, or for both options at once.
    """
    import shutil

    from icl_theory.core import checks
    from icl_theory.records.files import prepare_directory

    if resume and overwrite:
        raise checks.error("resume", "also overwrite", "one of the two", "drop one of them")
    path = prepare_directory(out, overwrite or resume)
    if not resume:
        shutil.rmtree(path / "records", ignore_errors=True)
    return path


def run(config: FiguresConfig, out: Path, progress: Progress | None = None) -> Iterator[list[Path]]:
    """Make the record of each figure unless `out` has it, draw it, and write its caption beside it.

    Args:
        config: see `FiguresConfig`.
        out: directory; records are in its folder `records`.
        progress: called with (what, done, total).

    Yields: the files of each figure.
    Raises: ValueError for a name that is none.
    """
    from icl_theory.core import checks
    from icl_theory.figures.style import save_figure
    from icl_theory.records.files import write_bytes

    for name in config.figures or FIGURES:
        checks.choice("figures", name, get_args(FigureName))
        record = record_of(name, config, out, progress)
        figure = drawn(name, record)
        files = [save_figure(figure, out / f"{name}.{ending}") for ending in FORMATS]
        yield [*files, write_bytes(out / f"{name}.txt", (record["caption"] + "\n").encode())]


def record_of(name: FigureName, config: FiguresConfig, out: Path, progress: Progress | None = None) -> dict[str, Any]:
    """The record of a figure: read back if `out` has one of the same settings, otherwise made and kept.

    Args:
        name: of the figure.
        config: profile and seed.
        out: directory.
        progress: called with (what, done, total).
    """
    from icl_theory.records.documents import to_plain
    from icl_theory.records.files import read_json, write_json

    shown = FIGURES[name]
    settings = {"format": FORMAT, "data of": shown.maker, "profile": config.profile, "seed": config.seed}
    settings |= {"registered": _digests(shown)} if shown.of_grid else {}
    path = out / "records" / f"{record_name(name)}.json"
    record = read_json(path) if path.is_file() else {}
    if not isinstance(record, dict) or record.get("settings") != settings:
        data, seeds = _data(shown, config, progress or (lambda _text, _done, _total: None))
        record = to_plain({"settings": settings, "seeds": seeds, "data": data})
        write_json(path, record)
    return record | {"caption": shown.caption.format(seeds=record["seeds"]).strip()}


def drawn(name: FigureName, record: dict[str, Any]) -> "Figure":
    """The figure of a record. Nothing is computed.

    Args:
        name: of the figure.
        record: as `record_of` returns it.
    """
    return _function("icl_theory.figures.paper", FIGURES[name].drawer)(record["data"])


def script(name: FigureName, description: str | None) -> int:
    """What a script of paper_figures does: draw one figure from its record, into --out.

    Args:
        name: of the figure.
        description: of the script, for its --help.

    Returns: the exit status.
    """
    import argparse
    import sys

    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True, help="directory that `icl-theory figures --out` made")
    parser.add_argument("--out", type=Path, default=Path("paper_figures/output"), help="where the figure goes")
    arguments = parser.parse_args()
    from icl_theory.figures.style import save_figure
    from icl_theory.records.files import read_json

    try:
        record = read_json(arguments.records / "records" / f"{record_name(name)}.json")
        figure = drawn(name, record)
        files = [save_figure(figure, arguments.out / f"{name}.{ending}") for ending in FORMATS]
    except (KeyError, TypeError) as error:
        parser.error(f"the record of {name} lacks {error}; make it again with `icl-theory figures`")
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write("".join(f"{path}\n" for path in files))
    return 0


def record_name(name: FigureName) -> str:
    """Of the file that holds the data of a figure; two figures can be drawn from one.

    Args:
        name: of the figure.
    """
    return FIGURES[name].maker.partition(".")[2]


def _data(shown: PaperFigure, config: FiguresConfig, progress: Progress) -> tuple[dict[str, Any], int]:
    """What the figure shows, and of how many seeds."""
    make = _function("icl_theory.runs.figure_records", shown.maker)
    if shown.of_grid:
        from icl_theory.grids.records import shipped

        table = shipped(_grid_of(shown))
        return make(table), table.grid.seeds
    seeds = SEEDS[config.profile]
    return make(config.seed, seeds, progress), seeds


def _digests(shown: PaperFigure) -> dict[str, str]:
    from icl_theory.grids.registration import digests

    return digests(_grid_of(shown))


def _grid_of(shown: PaperFigure) -> Any:
    """The grid that the data of a figure are read off."""
    return "prediction" if shown.maker.startswith("of_prediction") else "edits"


def _function(package: str, place: str) -> Any:
    """A function by its module and name."""
    from importlib import import_module

    module, _, name = place.partition(".")
    return getattr(import_module(f"{package}.{module}"), name)
