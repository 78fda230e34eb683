"""What `gradient_noise` costs at D = 1024, N = 128, against one singular value decomposition of a 1024 x 1024 matrix.

Exit status 1 if the ratio of the medians is 0.5 or more, or if memory comes near that of a D² x D² array.
"""

import sys

import numpy as np
from measuring import median_seconds, peak_memory
from rich.console import Console
from rich.table import Table

from icl_theory import gradient_noise, random_weights

DIMENSION, DEMONSTRATIONS, SHOTS, REPEATS = 1024, 128, 32, 5
LARGEST_RATIO = 0.5


def main() -> int:
    """Measure and print."""
    rng = np.random.default_rng(0)
    model = random_weights(0, layers=1, token_dim=DIMENSION)
    tokens = rng.standard_normal((DEMONSTRATIONS, DIMENSION))
    matrix = rng.standard_normal((DIMENSION, DIMENSION))

    def noise() -> None:
        covariance = gradient_noise(model, tokens, shots=SHOTS)
        _ = covariance.spectrum, covariance.trace, covariance.log_pseudo_determinant

    works = (noise, lambda: np.linalg.svd(matrix))
    noise_time, svd_time = (median_seconds(work, REPEATS, warm=True) for work in works)
    peak, dense = peak_memory(noise), 8 * DIMENSION**4
    ratio = noise_time / svd_time
    table = Table("", "measured", title=f"D = {DIMENSION}, N = {DEMONSTRATIONS}, b = {SHOTS}, median of {REPEATS}")
    table.add_row("gradient_noise with spectrum, trace, log-pseudo-determinant", f"{1e3 * noise_time:.1f} ms")
    table.add_row(f"one SVD of a {DIMENSION} x {DIMENSION} matrix (numpy)", f"{1e3 * svd_time:.1f} ms")
    table.add_row(f"ratio (must be below {LARGEST_RATIO})", f"{ratio:.3f}")
    table.add_row("peak traced memory", f"{peak / 2**20:.1f} MiB")
    table.add_row("a D² x D² array of float64 would take", f"{dense / 2**40:.1f} TiB")
    Console(width=100).print(table)
    return 0 if ratio < LARGEST_RATIO and peak < dense / 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
