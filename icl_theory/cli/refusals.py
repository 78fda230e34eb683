"""What tyro says of words that it cannot read, in one line like every other refusal."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

_FRAME = re.compile(r"^[╭╰+]|[─-]{5}")
_UNKNOWN = re.compile(
    r"Unrecognized options: (?P<words>.*?)(?: Perhaps you meant:| Available subcommands:| For full|$)"
)
_PARSED = re.compile(r"Error parsing (?P<option>\S+): (?P<why>.*?)(?: Argument helptext:| For full|$)")
_CHOICE = re.compile(
    r"invalid choice '(?P<got>.*?)' for argument '(?P<option>.*?)'\. Expected one of \((?P<of>.*?)\)\."
)
_MISSING = re.compile(r"Missing from .*?: (?P<what>\S+)")
_KINDS = {"int": "a whole number", "float": "a number"}


def flat(box: str) -> str:
    """The words inside a frame of lines, on one line."""
    lines = (line.strip("│| ") for line in box.splitlines())
    return " ".join(" ".join(line.split()) for line in lines if line and not _FRAME.search(line))


def refusal(box: str, command: str, options: Iterable[str]) -> tuple[str, str, str, str]:
    """What was not understood: name, got, expected and hint of the error.

    Args:
        box: what tyro printed.
        command: what was typed first, with the name of the program.
        options: those of the command, as they are typed.
    """
    text, options = flat(box), list(options)
    help_ = f"see `{command} --help`"
    if found := _CHOICE.search(text):
        choices = [choice.strip(" '\"") for choice in found["of"].split(",") if choice.strip(" '\"")]
        near = difflib.get_close_matches(found["got"], choices, 1)
        expected = f"one of {', '.join(choices)}"
        return found["option"], repr(found["got"]), expected, f"did you mean {near[0]!r}" if near else help_
    if found := _PARSED.search(text):
        kind = next((words for name, words in _KINDS.items() if name in found["why"]), "")
        got = re.search(r"'([^']*)'\s*$", found["why"])
        if kind and got:
            return found["option"], repr(got[1]), kind, help_
        return found["option"], found["why"].rstrip("."), "a value that can be read", help_
    if found := _MISSING.search(text):
        return "command line", f"no {found['what']}", f"`{command} {found['what']}`", help_
    if found := _UNKNOWN.search(text):
        words = [word for word in found["words"].split(", ") if word]
        first = next((word for word in words if word.startswith("-")), words[0])
        near = difflib.get_close_matches(first.partition("=")[0], options, 1, 0.6) if first.startswith("-") else []
        what = f"options of `{command}`" if first.startswith("-") else "an option before it"
        return "command line", repr(first), what, f"did you mean {near[0]}" if near else help_
    return "command line", re.sub(r"[.:;]? ?For full helptext.*$", "", text), f"what `{command}` takes", help_


def as_typed(line: str, command: Any) -> str:
    """An error line whose first word is a field of the command, with the option that was typed instead.

    Args:
        line: "layer_indices: got 3, ...", as `core.checks.error` writes it.
        command: the command as it was read.
    """
    name, colon, rest = line.partition(": got ")
    if not colon or name not in {field.name for field in fields(command)}:
        return line
    typed = {"from_file": "from", "claim": "LABEL", "file": "FILE", "name": "N"}.get(name, name.replace("_", "-"))
    return f"{typed if typed.isupper() else f'--{typed}'}{colon}{rest}"
