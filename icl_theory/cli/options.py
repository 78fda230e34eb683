"""What can be typed behind `icl-theory`: the commands, their options, and how they are read.

Only what is needed to read the command line is imported here, so that --help answers at once.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Any

import tyro
import tyro.extras

from icl_theory.claims.engine.profiles import ProfileName
from icl_theory.runs.bounds_config import SweepConfig
from icl_theory.runs.train_config import TrainRunConfig

PROGRAM = "icl-theory"
DESCRIPTION = (
    "Check the theory of in-context learning on transformers trained during the run. "
    "Exit status: 0 sound, 1 inconclusive or a control was not caught, 2 bad input, 70 an unexpected error. "
    "--version prints the version."
)
Json = Annotated[bool, tyro.conf.arg(help="One JSON document on standard output, everything else on standard error.")]
Out = Annotated[str | None, tyro.conf.arg(metavar="DIR", help="Directory for records and figure; nothing if left out.")]
Overwrite = Annotated[bool, tyro.conf.arg(help="Replace the files of an earlier run in that directory.")]


@dataclass(frozen=True)
class Verify:
    """Check which statements hold, fail or are vacuous, each with its negative controls."""

    claims: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LABEL ...")] = ()
    """Claims to check, by label; all if none is named. `icl-theory explain` lists them."""
    profile: ProfileName = "quick"
    """How many seeds and samples, and how long to train: about a minute, or much longer."""
    seed: int = 0
    """Seed of everything random; the same seed gives the same cases."""
    baseline: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """records.json of an earlier run: say what has changed, on the page too. The exit status does not change."""
    out: Out = None
    overwrite: Overwrite = False
    json: Json = False


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
class Explain:
    """Say what a claim states, what is checked and why it may fail; without a label, list all claims."""

    claim: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="LABEL")] = None
    """Label of a claim."""
    json: Json = False


@dataclass(frozen=True)
class Recheck:
    """Verify a counterexample from its file alone. Exit status 1 if it does not break the statement after all."""

    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """A file from the counterexamples folder that `verify --out` wrote."""
    json: Json = False


COMMANDS = {"verify": Verify, "train": Train, "bounds": Bounds, "explain": Explain, "recheck": Recheck}
"""What can be typed first, and what the rest is read as."""


def parse(arguments: list[str]) -> Any:
    """The command; or the exit status, where tyro has printed the help or what is wrong and nothing is to be done.

    A command's options are read alone, so that tyro points to the help of that command and not to all of them.
    """
    name, config = arguments[0] if arguments else "", (tyro.conf.FlagCreatePairsOff,)
    try:
        if name in COMMANDS:
            return tyro.cli(COMMANDS[name], prog=f"{PROGRAM} {name}", args=arguments[1:], config=config)
        return tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog=PROGRAM, description=DESCRIPTION, args=arguments, config=config
        )
    except SystemExit as stop:
        status = int(stop.code or 0)
        if status and name == "verify" and not arguments[1].startswith("-"):
            print(f"To check single claims: {PROGRAM} verify --claims {arguments[1]} ...", file=sys.stderr)
        return status
