"""The command `icl-theory`: verify, train, bounds, search, grid, figures, lesson, explain, recheck, cache.

Exit status, of every command:

    0    the run is sound (a printed statement found false is a finding, not a failure)
    1    something was inconclusive, not finite or in error, a control was not caught, a derivation failed, training
         diverged, or a counterexample was not confirmed
    2    bad input, a package of claims that cannot be used, or output that cannot be written (a full disk, a closed
         stream): one line says what was got, what was expected and a hint; an option or a value that cannot be read
         is reported in tyro's words, on standard error like every other error
    70   an error that is neither of these (a missing driver, a fault of ours): one line names the exception and the
         place in this package; with the environment variable ICL_TRACEBACK=1 the whole traceback comes before the line
    130  interrupted
    141  the reader of standard output has gone

With --json, standard output holds one JSON document.

What a command needs is imported where it runs, so that --help answers at once.
"""

import contextlib
import errno
import os
import sys
import textwrap
import traceback
from collections.abc import Sequence
from pathlib import Path

from icl_theory.cli.parsing import PROGRAM, parse
from icl_theory.core.version import VERSION
from icl_theory.report.terminal.plain_text import set_ascii_fallback

UNEXPECTED = 70
"""Exit status of what nobody foresaw; EX_SOFTWARE of sysexits.h."""
LONGEST_MESSAGE = 400
"""Characters of a foreign exception's message that are shown."""
UNWRITABLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.EBADF),
    *(errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP),
}
"""Errors of the operating system that are about the place named for the output, or the stream given for it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns: the exit status; no exception leaves this function."""
    limit_threads()
    choose_backend()
    if sys.stderr is None:  # closed: what is printed to None would end up in standard output
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            return main(arguments)
    try:
        set_ascii_fallback()
        status = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return status
    except BaseException as error:
        return _ended_by(error)


def choose_backend() -> None:
    """No window is ever opened, so whatever backend the user's variables name for other programs is not asked for."""
    if "matplotlib" not in sys.modules:  # it reads the variable when it is imported, and refuses a name that is none
        os.environ["MPLBACKEND"] = "agg"


def limit_threads() -> None:
    """One thread for numpy's matrix products, unless the user has said otherwise: the matrices of a command are small,
    and threads that wait for one another took half of the processors' time."""
    if "numpy" not in sys.modules:  # it reads the variables when it is imported
        for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")


def _run(arguments: list[str]) -> int:
    if sys.stdout is None:
        from icl_theory.core import checks

        hint = "send it to /dev/null if it is not wanted"
        raise checks.error("standard output", "a closed stream", "one that can be written", hint)
    if "--version" in arguments[:1]:
        print(f"{PROGRAM} {VERSION}")
        return 0
    command = parse(arguments)
    if isinstance(command, int):
        return command
    from icl_theory.cli.commands import run
    from icl_theory.cli.refusals import as_typed

    try:
        return run(command)
    except _input_error() as error:
        raise type(error)(as_typed(str(error), command)) from error


def _ended_by(error: BaseException) -> int:
    """Say in one line why the command ends, if anybody listens. Returns: the exit status."""
    if isinstance(error, BrokenPipeError):
        _give_up_streams()
        return 141
    if isinstance(error, KeyboardInterrupt):
        _say(f"\n{PROGRAM}: interrupted")
        return 130
    if os.environ.get("ICL_TRACEBACK", "0") not in ("", "0"):
        _say("".join(traceback.format_exception(error)).rstrip())
    bad = _bad_input(error)
    _say(f"{PROGRAM}: {_unexpected(error)}" if bad is None else f"{PROGRAM}: error: {bad}")
    _give_up_streams()
    return UNEXPECTED if bad is None else 2


def _bad_input(error: BaseException) -> str | None:
    """What is wrong with the input or with the place for the output, in a line; None if the error is another one."""
    text = " ".join(str(error).split())
    if isinstance(error, _input_error()):
        return text
    if isinstance(error, MemoryError):
        return (
            f"memory: got a request for more than there is ({_short(text)}), expected sizes that fit; use smaller ones."
        )
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)!r}: "
        hint = "free some space or name another place"
        return f"output: got {place}{error.strerror}, expected a place that can be written; {hint}."
    return None


def _input_error() -> type[ValueError]:
    from icl_theory.core.checks import InvalidInputError  # imports numpy, which --help does without

    return InvalidInputError


def _unexpected(error: BaseException) -> str:
    """The exception, and the innermost line of this package on the way to it."""
    package = Path(__file__).parents[1]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if package in Path(frame.filename).parents]
    place = f"{Path(frames[-1].filename).relative_to(package.parent).as_posix()}:{frames[-1].lineno}"
    said = _short(" ".join(str(error).split()))
    return f"unexpected {type(error).__name__} ({said}) at {place}; set ICL_TRACEBACK=1 to see the traceback"


def _short(text: str) -> str:
    return textwrap.shorten(text, LONGEST_MESSAGE, placeholder=" ...")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # standard error may be full or closed as well
        print(text, file=sys.stderr, flush=True)


def _give_up_streams() -> None:
    """What a stream cannot take any more is thrown away, so that nothing fails again at exit."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
