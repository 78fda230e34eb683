"""How long computations say how far they are."""

from typing import Protocol


class Progress(Protocol):
    """Called often during a long computation; it must not influence the result, and may raise to end it."""

    def __call__(self, text: str, done: int, total: int, /) -> None:
        """What is being done, in a few words, and how much of it: `done` of `total`."""
        ...
