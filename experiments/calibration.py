"""How far the information estimates are from informations that are known: 292 lines, between two and three minutes.

python experiments/calibration.py --out runs/calibration
"""

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from icl_theory.information.estimators.calibration import CalibrationRecord, calibration_table, informative_limits
from icl_theory.information.estimators.known_channels import FAMILIES, known_channels
from icl_theory.records.files import write_json
from icl_theory.report.terminal.console import LiveProgress
from icl_theory.runs.directory import from_arguments

SEED, Z, SHARE = 0, 1.96, 0.5
INFORMATIONS = (0.01, 0.1, 1.0, 3.0, 5.0, 10.0, 20.0)  # nats
PARTS: tuple[dict[str, Any], ...] = (
    {"families": tuple(FAMILIES), "dimensions": (1, 2, 4, 16, 64), "pairs": 128, "repetitions": 200},
    {"families": ("gaussian",), "dimensions": (1, 4, 16, 64), "pairs": 512, "repetitions": 200},
)


def _bias(estimate: Any) -> str:
    return "" if estimate is None else f"{estimate.value:+.3g} ± {estimate.stderr:.1g}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def table(records: list[CalibrationRecord], pairs: int, repetitions: int) -> Table:
    """One line per channel."""
    title = f"K = {pairs}, {repetitions} repetitions, coverage at {Z} standard errors"
    heads = ("channel", "d", "nats", "lower - I", "upper - I", "error bars", "coverage", "flag up", "missed", "KSG - I")
    result = Table(*heads, title=title)
    for record in records:
        bars = f"{_ratio(record.lower_error_ratio)} {_ratio(record.upper_error_ratio)}"
        known = (record.channel.family, str(record.channel.dimension), f"{record.channel.information:g}")
        shares = (f"{record.coverage:.3f}", f"{record.saturated:.2f}", f"{record.flag_missing:.2f}")
        result.add_row(
            *known, _bias(record.lower_bias), _bias(record.upper_bias), bars, *shares, _bias(record.ksg_bias)
        )
    return result


def limits(records: list[CalibrationRecord]) -> Table:
    """Up to how many nats the ends stay within half of I."""
    result = Table("channel", "d", "K", "informative up to", title=f"upper - lower at most {SHARE:g} I")
    for (family, dimension, pairs), nats in informative_limits(records, SHARE).items():
        result.add_row(family, str(dimension), str(pairs), f"{nats:g} nats")
    return result


def main() -> int:
    """Print both tables and write `records.json`."""
    out = from_arguments(__doc__, "runs/calibration")
    console, everything = Console(width=150), []
    for part in PARTS:
        channels = known_channels(part["families"], part["dimensions"], INFORMATIONS)
        options = {"pairs": part["pairs"], "repetitions": part["repetitions"]}
        with LiveProgress() as progress:
            records = calibration_table(channels, **options, key=SEED, z=Z, progress=progress)
        console.print(table(records, **options))
        everything += records
    console.print(limits(everything))
    document = {"seed": SEED, "z": Z, "share": SHARE, "records": [record.row() for record in everything]}
    print(write_json(out / "records.json", document), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
