"""What a rank sweep returns: its entries, and the same as a table."""

from typing import Any

import numpy as np

from icl_theory.records.sweep_csv import sweep_rows


class SweepRecords(list[dict[str, Any]]):
    """The entries of a sweep, plain dictionaries in a list.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, rank_sweep
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> entries = rank_sweep(model, task, demonstrations=20, shots=5, clip=4.0, samples=32, tasks=1)
        >>> frame = entries.frame()
        >>> frame["rank"].tolist(), frame["module"].tolist(), bool((frame["bound_readout"] > frame["gap"]).all())
        ([1, 2, 3], ['value', 'value', 'value'], True)
    """

    def frame(self) -> dict[str, np.ndarray]:
        """The table of records.csv, column by column: what `pandas.DataFrame` or `polars.DataFrame` take as it is.

        Columns: the place of an entry, `support` (d_S of the layers, joined by a space), value and `_stderr` of the gap
        and the risks, `bound_NAME` in units of the loss and `information_NAME` in nats of every rung, and the rest of
        `sweep_csv`. A number that an entry does not have is NaN.

        Returns: arrays of one length, by name.
        Raises: ValueError for no entries.
        """
        rows = sweep_rows(self)
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
