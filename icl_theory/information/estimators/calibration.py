"""How far the sandwich and the nearest-neighbour estimate are from a mutual information that is known."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key, generator
from icl_theory.core.progress import Progress
from icl_theory.core.results import Result
from icl_theory.information.estimators.known_channels import KnownChannel
from icl_theory.information.estimators.ksg import LARGEST_DIMENSION, ksg_mutual_information
from icl_theory.information.estimators.sandwich import SATURATION_MARGIN, sandwich


@fields_in_help
@dataclass(frozen=True, repr=False)
class CalibrationRecord(Result):
    """One known channel, estimated repeatedly from K fresh pairs.

    Example:
        >>> from icl_theory import calibration_table
        >>> from icl_theory.information.estimators.known_channels import gaussian
        >>> record = calibration_table([gaussian(2, 1.0)], pairs=32, repetitions=20)[0]
        >>> low, high = record.coverage_interval(level=0.99)
        >>> low <= record.coverage <= high
        True
    """

    channel: KnownChannel
    """What is estimated."""
    pairs: int
    """K."""
    repetitions: int
    """Number of estimates."""
    lower_bias: Estimate
    """Mean of (lower end - I) in nats, with its standard error over the repetitions."""
    upper_bias: Estimate
    """Mean of (upper end - I) in nats, with its standard error over the repetitions."""
    lower_error_ratio: float | None
    """Mean claimed standard error of the lower end / its spread over the repetitions; None if it is constant."""
    upper_error_ratio: float | None
    """The same of the upper end."""
    lower_coverage: float
    """Share of repetitions with lower - z se ≤ I."""
    upper_coverage: float
    """Share of repetitions with I ≤ upper + z se."""
    coverage: float
    """Share of repetitions with lower - z se ≤ I ≤ upper + z se."""
    width: float
    """Mean of upper - lower, in nats."""
    saturated: float
    """Share of repetitions with the flag raised."""
    flag_missing: float
    """Share with the flag not raised although I > log K, which no lower end can reach."""
    flag_false: float
    """Share with the flag raised although I is below log K by more than the flag's margin."""
    ksg_bias: Estimate | None
    """Mean of (KSG - I) in nats, with its standard error; None where KSG does not apply."""

    def coverage_interval(self, level: float = 0.99) -> tuple[float, float]:
        """Exact binomial (Clopper and Pearson) interval of `coverage`.

        Args:
            level: confidence level, between 0 and 1.
        """
        interval = binomtest(round(self.coverage * self.repetitions), self.repetitions).proportion_ci(level)
        return float(interval.low), float(interval.high)

    def informative(self, share: float = 0.5) -> bool:
        """Whether the ends are close to each other on average, relative to I itself.

        Args:
            share: largest mean distance of the ends, as a share of I.
        """
        return self.width <= share * self.channel.information

    def row(self) -> dict[str, Any]:
        """Plain names and numbers, for tables and files."""
        plain = {name: value for name, value in vars(self).items() if isinstance(value, int | float | None)}
        biases = {"lower_bias": self.lower_bias, "upper_bias": self.upper_bias, "ksg_bias": self.ksg_bias}
        for name, bias in biases.items():
            plain |= {name: bias and bias.value, f"{name}_stderr": bias and bias.stderr}
        known = {name: getattr(self.channel, name) for name in ("family", "dimension", "information")}
        low, high = self.coverage_interval()
        return known | plain | {"coverage_low": low, "coverage_high": high, "informative": self.informative()}


@dataclass(frozen=True)
class _Table:
    """A channel given by its matrix of log densities."""

    log_p: np.ndarray

    @property
    def samples(self) -> int:
        """K."""
        return len(self.log_p)

    def log_density(self, rows: slice) -> np.ndarray:
        """A copy: the sandwich overwrites what it gets."""
        return self.log_p[rows].copy()


def _summary(values: np.ndarray, truth: float) -> Estimate:
    return Estimate.from_samples(values - truth)


def _ratio(claimed: np.ndarray, values: np.ndarray) -> float | None:
    spread = float(values.std(ddof=1))
    return float(claimed.mean()) / spread if spread > 1e-12 * abs(float(values.mean())) else None


def calibrate(
    channel: KnownChannel, *, pairs: int, repetitions: int, key: Key, z: float = 1.96, neighbours: int = 3
) -> CalibrationRecord:
    """The sandwich (and KSG up to dimension 3) on `repetitions` independent sets of K pairs of one known channel.

    Args:
        channel: with known information.
        pairs: K ≥ 4.
        repetitions: at least 2.
        key: a jax.random.key or a whole number.
        z: standard errors on either side.
        neighbours: k of KSG.

    Returns: `CalibrationRecord`; nats throughout.
    Raises: ValueError for anything out of range.
    """
    pairs = checks.integer("pairs", pairs, 4, None, "draw a few dozen pairs")
    repetitions = checks.integer("repetitions", repetitions, 2, None, "a spread needs two")
    z = checks.number("z", z, low=0.0, strict=True, hint="use a positive number of standard errors")
    rng, truth = generator(key), channel.information
    with_ksg = channel.continuous and channel.dimension <= LARGEST_DIMENSION
    rows, flags, ksg = np.empty((repetitions, 4)), np.empty(repetitions, dtype=bool), []
    for repetition in range(repetitions):
        inputs, outputs, log_p = channel.draw(rng, pairs)
        ends = sandwich([_Table(log_p)])
        rows[repetition] = ends.lower.value, ends.lower.stderr, ends.upper.value, ends.upper.stderr
        flags[repetition] = ends.saturated
        if with_ksg:
            ksg.append(ksg_mutual_information(inputs, outputs, neighbours=neighbours).value)
    lower, lower_error, upper, upper_error = rows.T
    below, above = lower - z * lower_error <= truth, truth <= upper + z * upper_error
    return CalibrationRecord(
        channel,
        pairs,
        repetitions,
        _summary(lower, truth),
        _summary(upper, truth),
        _ratio(lower_error, lower),
        _ratio(upper_error, upper),
        float(below.mean()),
        float(above.mean()),
        float((below & above).mean()),
        float((upper - lower).mean()),
        float(flags.mean()),
        float((~flags).mean()) if truth > np.log(pairs) else 0.0,
        float(flags.mean()) if truth < np.log(pairs) - SATURATION_MARGIN else 0.0,
        _summary(np.array(ksg), truth) if with_ksg else None,
    )


def calibration_table(
    channels: Sequence[KnownChannel],
    *,
    pairs: int = 128,
    repetitions: int = 200,
    key: Key = 0,
    z: float = 1.96,
    progress: Progress | None = None,
) -> list[CalibrationRecord]:
    """`calibrate` for every channel: bias, error bars, coverage and flag of the sandwich where I is known.

    A channel's draws depend on the key and on its name only, not on the others in the list.

    Args:
        channels: see `known_channels`.
        pairs: K, at least 4.
        repetitions: per channel, at least 2.
        key: a jax.random.key or a whole number.
        z: standard errors on either side, for the coverage.
        progress: called with (name, done, total) before every channel; no reports if None.

    Returns: one `CalibrationRecord` per channel, in order.
    Raises: ValueError for anything out of range.

    Example:
        >>> from icl_theory import calibration_table
        >>> from icl_theory.information.estimators.known_channels import gaussian
        >>> record = calibration_table([gaussian(2, 1.0)], pairs=32, repetitions=20)[0]
        >>> record.channel.information, record.pairs, record.repetitions
        (1.0, 32, 20)
    """
    base = int(generator(key).integers(2**31))
    records = []
    for done, channel in enumerate(channels):
        if progress is not None:
            progress(channel.name, done, len(channels))
        rng = np.random.default_rng([base, zlib.crc32(channel.name.encode())])
        own = int(rng.integers(2**62))
        records.append(calibrate(channel, pairs=pairs, repetitions=repetitions, key=own, z=z))
    return records


def informative_limits(records: Sequence[CalibrationRecord], share: float = 0.5) -> dict[tuple[str, int, int], float]:
    """Largest information up to which the sandwich is informative, by (family, dimension, K); 0 if it never is.

    Informative: the ends are within `share` of I of each other on average, among the informations calibrated.
    """
    limits: dict[tuple[str, int, int], float] = {}
    for record in records:
        place = record.channel.family, record.channel.dimension, record.pairs
        limits.setdefault(place, 0.0)
        if record.informative(share):
            limits[place] = max(limits[place], record.channel.information)
    return limits
