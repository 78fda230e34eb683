"""Coverage of the sandwich on the channel it is made for: demonstrations → noisy implicit gradient, one layer.

I(W; H_s) has no closed form here. Its reference is the sandwich at K = 4096, both ends averaged over eight draws; then
200 small sandwiches show how often their interval contains it. About two minutes.

python experiments/information_coverage.py
"""

import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from icl_theory import LinearRegression, random_weights
from icl_theory.information.estimators.calibration import calibrate
from icl_theory.information.estimators.channel import SharedChannel
from icl_theory.information.estimators.known_channels import KnownChannel
from icl_theory.information.estimators.sandwich import sandwich
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting

SEED, Z = 0, 1.96
SETTINGS = (  # d_x, N, b
    (1, 24, 6),
    (2, 24, 6),
    (2, 24, 18),
    (5, 80, 20),
)
PAIRS, REPETITIONS, REFERENCE_PAIRS, REFERENCE_DRAWS = 128, 200, 4096, 8


def channel_of(setting: Setting, rng: np.random.Generator, pairs: int) -> tuple[np.ndarray, np.ndarray, SharedChannel]:
    """Means, outputs and the channel of K runs of a one-layer model, in coordinates of its support."""
    draws = draw(setting, rng, pairs)
    layer = simulate(setting, draws).layers[0]
    means, roots = draws.moments @ layer.maps[0].T, layer.maps @ draws.noise_root
    return means, layer.outputs, SharedChannel.of(layer.outputs[:, None], means, roots)


def reference(setting: Setting, rng: np.random.Generator) -> tuple[float, float]:
    """Mean lower and mean upper end at large K."""
    ends = [sandwich([channel_of(setting, rng, REFERENCE_PAIRS)[2]]) for _ in range(REFERENCE_DRAWS)]
    return float(np.mean([e.lower.value for e in ends])), float(np.mean([e.upper.value for e in ends]))


def main() -> int:
    """Print coverage per setting; 1 if one is below what 200 repetitions of 95 % allow."""
    heads = (
        "d_x",
        "N",
        "b",
        "d_S",
        "reference, nats",
        "lower - I",
        "upper - I",
        "error bars",
        "coverage",
        "99 % interval",
    )
    table, good = Table(*heads, title=f"K = {PAIRS}, {REPETITIONS} repetitions, {Z} standard errors"), True
    for index, (dim, demonstrations, shots) in enumerate(SETTINGS):
        task = LinearRegression(dim, noise_std=0.5)
        model = random_weights(SEED, layers=1, token_dim=dim + 1, scale=2.0)
        vector = task.sample_tasks(np.random.default_rng([SEED, index]), 1)[0]
        setting = Setting(model, task, vector, demonstrations, shots)
        low, high = reference(setting, np.random.default_rng([SEED, index, 1]))

        def small(rng: np.random.Generator, pairs: int, setting: Setting = setting) -> tuple:
            means, outputs, channel = channel_of(setting, rng, pairs)
            return means, outputs, channel.log_density(slice(0, pairs))

        width = (dim + 1) * (dim + 2) // 2
        known = KnownChannel("noisy gradient", width, (low + high) / 2, small)
        record = calibrate(known, pairs=PAIRS, repetitions=REPETITIONS, key=SEED, z=Z)
        interval = record.coverage_interval()
        good = good and interval[1] >= 0.95
        table.add_row(
            *map(str, (dim, demonstrations, shots, width)),
            f"{low:.3f} to {high:.3f}",
            f"{record.lower_bias.value:+.3f}",
            f"{record.upper_bias.value:+.3f}",
            f"{record.lower_error_ratio or 0:.2f} {record.upper_error_ratio or 0:.2f}",
            f"{record.coverage:.3f}",
            f"{interval[0]:.3f} to {interval[1]:.3f}",
        )
    Console(width=130).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
