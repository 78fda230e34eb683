"""How a statement can fare."""

from enum import StrEnum


class Verdict(StrEnum):
    """How a statement fared.

    Example:
        >>> from icl_theory.claims import Verdict
        >>> Verdict.HOLDS == "HOLDS", Verdict("FAILS")
        (True, <Verdict.FAILS: 'FAILS'>)
    """

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    INCONCLUSIVE = "INCONCLUSIVE"
    """Error bars too wide to decide."""
    OUTSIDE = "OUTSIDE"
    """An assumption is broken, so the statement says nothing here."""
    DEPENDS = "DEPENDS"
    """Cells of a grid that was registered beforehand speak for it, and others against it."""
    VACUOUS = "VACUOUS"
    """Holds only because it exceeds the trivial bound, or its hypothesis can never be met."""
    NONFINITE = "NONFINITE"
    """A NaN or an infinity where a number was expected."""
    ERROR = "ERROR"
    """The check itself raised an exception: nothing is known of the statement, and the run is not sound."""

    @property
    def reversed(self) -> "Verdict":
        """HOLDS for FAILS and FAILS for HOLDS; any other as it is."""
        return {Verdict.HOLDS: Verdict.FAILS, Verdict.FAILS: Verdict.HOLDS}.get(self, self)
