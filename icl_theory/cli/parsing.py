"""How a command line is read: options once, with values, from an earlier run; what cannot be read in one line.

Only what is needed to read the command line is imported here, so that --help answers at once.
"""

import contextlib
import difflib
import io
import os
from dataclasses import fields
from typing import Any

import tyro
import tyro.extras

from icl_theory.cli.options import COMMANDS

PROGRAM = "icl-theory"
DESCRIPTION = (
    "Check the theory of in-context learning on transformers trained during the run. "
    "Exit status: 0 sound, 1 inconclusive or a control was not caught, 2 bad input, 70 an unexpected error. "
    "--version prints the version; --config FILE takes the options of an earlier run from its config.json or "
    "records.json."
)


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
