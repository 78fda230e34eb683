"""What can be typed behind `icl-theory`: the commands and their options.

Only what is needed to read the command line is imported here, so that --help answers at once.
"""

from dataclasses import dataclass
from typing import Annotated

import tyro
import tyro.extras

from icl_theory.claims.engine.profiles import ProfileName
from icl_theory.runs.bounds_config import SweepConfig
from icl_theory.runs.figures_config import FigureName, FiguresConfig
from icl_theory.runs.grid_config import GridConfig
from icl_theory.runs.search_config import SearchConfig
from icl_theory.runs.train_config import TrainRunConfig
from icl_theory.runs.verify_config import SettingsConfig

Json = Annotated[bool, tyro.conf.arg(help="One JSON document on standard output, everything else on standard error.")]
Out = Annotated[str | None, tyro.conf.arg(metavar="DIR", help="Directory for records and figure; nothing if left out.")]
From = Annotated[tuple[str, ...], tyro.conf.arg(name="from", metavar="FILE ...")]
Overwrite = Annotated[bool, tyro.conf.arg(help="Replace the files of an earlier run in that directory.")]


@dataclass(frozen=True)
class _Claims:
    """Options of `verify` on claims and on the run; they stand before those on settings."""

    claims: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LABEL ...")] = ()
    """Claims to check, by label; all if none is named. `icl-theory explain` lists them. Only what they need is trained
    and drawn."""
    from_file: From = ()
    """Python files with claims of your own, checked instead of all others, or with those behind --claims."""
    profile: ProfileName = "quick"
    """How many seeds and samples, and how long to train: about a minute, or much longer."""
    seed: int = 0
    """Seed of everything random; the same seed gives the same cases."""
    sweep: bool = False
    """Compute bound versus rank for page and figure, as a run over all claims with --out does unasked."""
    no_cache: bool = False
    """Train every ensemble now, and keep none; `icl-theory cache` shows what is kept."""
    baseline: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """records.json of an earlier run: say what has changed, on the page too. The exit status does not change."""
    table: bool = False
    """Print a row for every claim, with its evidence, however many there are."""
    out: Out = None
    overwrite: Overwrite = False
    json: Json = False


@dataclass(frozen=True)
class Verify(SettingsConfig, _Claims):
    """Check which statements hold, fail or are vacuous, each with its negative controls.

    In settings of yours (task, dimension, depth, demonstrations, a model from a file) claims that need something else
    are OUTSIDE, with the reason."""


@dataclass(frozen=True)
class Train(TrainRunConfig):
    """Train an ensemble of transformers in context, with checkpoints, and compare it with the exact optimum."""

    out: Out = None
    overwrite: Overwrite = False
    resume: Annotated[bool, tyro.conf.arg(help="Go on from the last checkpoint in that directory.")] = False
    json: Json = False


@dataclass(frozen=True)
class Bounds(SweepConfig):
    """Bounds on the generalization gap against the rank kept, for a trained or constructed model."""

    out: Out = None
    overwrite: Overwrite = False
    resume: Annotated[bool, tyro.conf.arg(help="Go on with an interrupted sweep in that directory.")] = False
    json: Json = False


@dataclass(frozen=True)
class Search(SearchConfig):
    """Algorithm 1: search the layer and the rank whose truncation helps, on prompts of its own; report on others."""

    out: Out = None
    overwrite: Overwrite = False
    resume: Annotated[bool, tyro.conf.arg(help="Go on with interrupted searches in that directory.")] = False
    json: Json = False


@dataclass(frozen=True)
class _Finding:
    """What `grid` shows; it stands before the options of a run."""

    finding: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="FINDING")] = None
    """Name of a finding, shown with all that decides it; all of them in a table if none is named."""
    record: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """grid.json.gz of a run of yours instead of the one that the package comes with."""
    merge: Annotated[tuple[str, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """Directories of all shards of a run, to be put together in --out."""


@dataclass(frozen=True)
class GridRun(GridConfig, _Finding):
    """Findings on registered grids: show what the record says, or with --out run the grid, whole or in shards."""

    out: Annotated[str | None, tyro.conf.arg(metavar="DIR", help="Run the grid into that directory.")] = None
    overwrite: Overwrite = False
    resume: Annotated[bool, tyro.conf.arg(help="Go on with an interrupted run in that directory.")] = False
    json: Json = False


@dataclass(frozen=True)
class Figures(FiguresConfig):
    """The figures of the paper in their synthetic counterparts, and our own: PDF, PNG, captions, and their records."""

    figures: Annotated[tuple[FigureName, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME ...")] = ()
    """Names of figures; all if none is named."""
    out: Annotated[str | None, tyro.conf.arg(metavar="DIR", help="Directory; without one the figures are listed.")] = (
        None
    )
    overwrite: Overwrite = False
    resume: Annotated[bool, tyro.conf.arg(help="Take over the records that are in that directory.")] = False
    json: Json = False


@dataclass(frozen=True)
class Explain:
    """Say what a claim states, what is checked and why it may fail; without a label, list all claims."""

    claim: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="LABEL")] = None
    """Label of a claim."""
    grep: Annotated[str | None, tyro.conf.arg(metavar="WORDS")] = None
    """List the claims whose label, statement, source or explanation has all of these words, upper or lower case."""
    from_file: From = ()
    """Python files with claims of your own."""
    json: Json = False


@dataclass(frozen=True)
class Recheck:
    """Verify a counterexample from its file alone. Exit status 1 if it does not break the statement after all."""

    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """A file from the counterexamples folder that `verify --out` wrote."""
    from_file: From = ()
    """The Python files of the claim, if it is one of your own."""
    json: Json = False


@dataclass(frozen=True)
class Lesson:
    """Lessons on attention as gradient descent: list them, write one as script, notebook or page with results, or write
    the interactive page."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="N")] = None
    """Number of the lesson, or the word page for the interactive page; all are listed if none is named."""
    out: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to write it: FILE.ipynb to work with, FILE.html to read (it is run first), or FILE.py."""
    open: bool = False
    """Open the file that was written with the program that the system has for it."""
    json: Json = False


@dataclass(frozen=True)
class Cache:
    """Show what is kept in the user's cache directory (compiled programs, trained ensembles), or remove it."""

    clear: bool = False
    """Remove all of it; it is made again when needed."""
    json: Json = False


COMMANDS = {
    "verify": Verify,
    "train": Train,
    "bounds": Bounds,
    "search": Search,
    "grid": GridRun,
    "figures": Figures,
    "lesson": Lesson,
    "explain": Explain,
    "recheck": Recheck,
    "cache": Cache,
}
"""What can be typed first, and what the rest is read as."""
