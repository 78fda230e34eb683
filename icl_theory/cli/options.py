"""What can be typed behind `icl-theory`: the commands, their options, and how they are read.

Only what is needed to read the command line is imported here, so that --help answers at once.
"""

import contextlib
import difflib
import io
import os
from dataclasses import dataclass, fields
from typing import Annotated, Any

import tyro
import tyro.extras

from icl_theory.claims.engine.profiles import ProfileName
from icl_theory.runs.bounds_config import SweepConfig
from icl_theory.runs.search_config import SearchConfig
from icl_theory.runs.train_config import TrainRunConfig
from icl_theory.runs.verify_config import SettingsConfig

PROGRAM = "icl-theory"
DESCRIPTION = (
    "Check the theory of in-context learning on transformers trained during the run. "
    "Exit status: 0 sound, 1 inconclusive or a control was not caught, 2 bad input, 70 an unexpected error. "
    "--version prints the version; --config FILE takes the options of an earlier run from its config.json or "
    "records.json."
)
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
    "lesson": Lesson,
    "explain": Explain,
    "recheck": Recheck,
    "cache": Cache,
}
"""What can be typed first, and what the rest is read as."""


def parse(arguments: list[str]) -> Any:
    """The command; or the exit status 0, where tyro has printed the help and nothing is to be done.

    A command's options are read alone, so that tyro points to the help of that command and not to all of them.
    Raises: ValueError for words that cannot be read, an option given twice, or one without the value it needs.
    """
    arguments = [_at_home(word) for word in arguments]
    name, config, said = arguments[0] if arguments else "", (tyro.conf.FlagCreatePairsOff,), io.StringIO()
    _require_command(name)
    try:
        with contextlib.redirect_stderr(said):
            return _parsed(name, arguments, config)
    except SystemExit as stop:
        if not stop.code:
            return 0
        raise _refused(said.getvalue(), name, arguments) from None


def _at_home(word: str) -> str:
    """A path below ~ written out, also behind --option=, where a shell leaves it as it stands."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + (os.path.expanduser(value) if value == "~" or value.startswith("~/") else value)


def _parsed(name: str, arguments: list[str], config: Any) -> Any:
    """What tyro makes of the words. Raises: SystemExit where it has printed the help, or what is wrong."""
    if name in COMMANDS:
        _require_whole_options(name, arguments[1:])
        rest, file = _without_config(arguments[1:])
        usual = {} if file is None else {"default": _configured(name, file)}
        return tyro.cli(COMMANDS[name], prog=f"{PROGRAM} {name}", args=rest, config=config, **usual)
    return tyro.extras.subcommand_cli_from_dict(
        COMMANDS, prog=PROGRAM, description=DESCRIPTION, args=arguments, config=config
    )


def _refused(box: str, name: str, arguments: list[str]) -> ValueError:
    """What could not be read, in one line."""
    from icl_theory.cli.refusals import refusal

    if name not in COMMANDS:
        got = repr(name) if name else "none"
        return _error("command", got, f"one of {', '.join(COMMANDS)}", f"see `{PROGRAM} --help`")
    if name == "verify" and not arguments[1].startswith("-"):
        hint = f"to check single claims: `{PROGRAM} verify --claims {arguments[1]}`"
        return _error("command line", repr(arguments[1]), "an option before it", hint)
    names = {"from_file": "from"}
    options = [f"--{names.get(f.name, f.name).replace('_', '-')}" for f in fields(COMMANDS[name])]
    return _error(*refusal(box, f"{PROGRAM} {name}", [*options, "--config", "--help"]))


def _without_config(arguments: list[str]) -> tuple[list[str], str | None]:
    """The arguments without --config FILE, and the file; None where there is none."""
    for place, word in enumerate(arguments):
        if word.startswith("--config="):
            return [*arguments[:place], *arguments[place + 1 :]], word.partition("=")[2]
        if word == "--config":
            return [*arguments[:place], *arguments[place + 2 :]], arguments[place + 1]
    return arguments, None


def _configured(name: str, file: str) -> Any:
    """The command with the options that a run has written down; what is typed beside it counts more.

    Raises: ValueError for a file that is no record of this command.
    """
    from icl_theory.core import checks
    from icl_theory.records.files import read_json

    document, command = read_json(file), COMMANDS[name]
    own = document.get("configuration", document) if isinstance(document, dict) else None
    known = {f.name for f in fields(command)} - {"out", "overwrite", "resume", "json", "baseline", "table"}
    if not isinstance(own, dict) or not own or not own.keys() & known:
        expected = f"config.json or records.json of a run of {name}, or an object of its options"
        raise checks.error("config", repr(file), expected, "name another file")
    foreign = sorted(own.keys() - known - {"file"})
    if foreign:
        hint = f"is it of another command than {name}?"
        raise checks.error("config", f"{foreign[0]!r} in {file!r}", f"options of {name}", hint)
    given = {option: _read_back(value) for option, value in own.items() if option in known}
    for option, value in given.items():
        usual = getattr(command(), option)
        kinds = (float, int) if isinstance(usual, float) else type(usual)
        fits = isinstance(value, kinds) and (isinstance(usual, bool) or not isinstance(value, bool))
        if not fits and value is not None and usual is not None:
            raise checks.error("config", f"{option} = {value!r} in {file!r}", f"a {type(usual).__name__}", "mend it")
    return command(**given)


def _read_back(value: Any) -> Any:
    """A value of a record as an option has it: lists are tuples, and a matrix is all of its numbers, row by row."""
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], list):
        return tuple(repr(number) for row in value for number in row)
    return tuple(value)


def _require_command(name: str) -> None:
    """Raises: ValueError for a word that is nearly a command."""
    near = difflib.get_close_matches(name.lower(), COMMANDS, 1)
    if near and name not in COMMANDS:
        raise _error("command", repr(name), f"one of {', '.join(COMMANDS)}", f"did you mean {near[0]!r}")


def _require_whole_options(command: str, arguments: list[str]) -> None:
    """Raises: ValueError for an option given twice, whose first values would be lost, or without a value."""
    flags = {f.name for f in fields(COMMANDS[command]) if f.type is bool or "bool" in str(f.type)}
    names = {"from": "from_file"}
    seen: set[str] = set()
    for word, following in zip(arguments, [*arguments, "--"][1:], strict=True):
        if not word.startswith("--") or word == "--help":
            continue
        option, equals, _ = word[2:].partition("=")
        field = names.get(option, option.replace("-", "_"))
        if field in seen:
            hint = f"write all values behind one --{option}"
            raise _error(f"--{option}", "it twice", "it once", hint)
        seen.add(field)
        known = {f.name for f in fields(COMMANDS[command])} | {"config"}
        if field in known - flags and not equals and following.startswith("--"):
            raise _error(f"--{option}", "no value", "at least one", "leave the option out, or say what it is")


def _error(name: str, got: str, expected: str, hint: str) -> ValueError:
    from icl_theory.core import checks  # imports numpy, which --help does without

    return checks.error(name, got, expected, hint)
