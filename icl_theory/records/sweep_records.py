"""What a rank sweep returns: its entries, and the same as a table."""

from typing import Any

from icl_theory.core.results import frame_of
from icl_theory.records.sweep_csv import sweep_rows


class SweepRecords(list[dict[str, Any]]):
    """The entries of a sweep, plain dictionaries in a list.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, rank_sweep
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> entries = rank_sweep(model, task, demonstrations=20, shots=5, clip=4.0, samples=32, tasks=1)
        >>> [(row["module"], row["rank"], row["bound_readout"] > row["gap"]) for row in entries.rows()]
        [('value', 1, True), ('value', 2, True), ('value', 3, True)]
    """

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per entry, with the columns of records.csv.

        The place, `support` (d_S of the layers, joined by a space), value and `_stderr` of gap and risks, `bound_NAME`
        in units of the loss and `information_NAME` in nats of every rung, and the rest of `records.sweep_csv`.

        Raises: ValueError for no entries.
        """
        return sweep_rows(self)

    def frame(self) -> Any:
        """`rows` as a pandas DataFrame; what an entry does not have is NaN.

        Raises: ModuleNotFoundError with what to install where pandas is missing.
        """
        return frame_of(self.rows())
