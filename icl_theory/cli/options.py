"""What can be typed behind `icl-theory`: the commands, their options, and how they are read.

Only what is needed to read the command line is imported here, so that --help answers at once.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from icl_theory.runs.bounds_config import SweepConfig
from icl_theory.runs.train_config import TrainRunConfig

PROGRAM = "icl-theory"
DESCRIPTION = (
    "Check the theory of in-context learning on transformers trained during the run. "
    "Exit status: 0 sound, 1 inconclusive or a control slipped through, 2 bad input, 70 an unexpected error. "
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
    profile: Literal["quick", "full"] = "quick"
    """How many seeds and samples, and how long to train: about a minute, or much longer."""
    seed: int = 0
    """Seed of everything random; the same seed gives the same cases."""
    compare: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
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


Command = (
    Annotated[Verify, tyro.conf.subcommand("verify")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Bounds, tyro.conf.subcommand("bounds")]
    | Annotated[Explain, tyro.conf.subcommand("explain")]
    | Annotated[Recheck, tyro.conf.subcommand("recheck")]
)


class CommandLineError(ValueError):
    """What was typed is no command; the message is one line."""


def parse(arguments: list[str]) -> Any:
    """The command, or None if help was asked for and has been printed. Raises: CommandLineError in tyro's words."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                Command,  # pyright: ignore[reportArgumentType]  (a union of annotated types is what tyro wants)
                prog=PROGRAM,
                description=DESCRIPTION,
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if not stop.code:
            return None
        raise CommandLineError(_one_line(said.getvalue())) from None


def _one_line(message: str) -> str:
    """tyro's boxed message as one line: the statement above its first rule, a suggestion, and where help is."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", message)
    lines = [line.strip(" │|") for line in plain.splitlines()]
    inside = [line for line in lines if line and line[0] not in "╭╰+"]
    rules = [i for i, line in enumerate(inside) if set(line) <= set("─-")]
    first = " ".join(inside[: rules[0]] if rules else inside)
    rest = " ".join(inside[rules[0] :] if rules else [])
    near = re.search(r"Perhaps you meant:\s*(--[\w-]+)", rest)
    place = re.search(r"(?:see|run) (icl-theory[\w -]*--help)", rest)
    cure = (f"; did you mean {near[1]}" if near else "") + (f"; see {place[1]}" if place else "")
    return first.rstrip(".") + cure
