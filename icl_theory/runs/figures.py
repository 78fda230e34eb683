"""The figures run: a record for every figure, kept; the figure drawn from it, with its caption beside it.

Importing this file is quick: nothing heavy is loaded before `run`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from icl_theory.core.progress import Progress
from icl_theory.runs.figure_list import FIGURES, PaperFigure
from icl_theory.runs.figures_config import FigureName, FiguresConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 1
SEEDS = {"quick": 4, "full": 16}
FORMATS = ("pdf", "png")


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
