"""What the noise of one layer costs at all ranks of a matrix, against one SVD and against the dense definition.

1. D = 2048, N = 256: the paper's eight clipping rates of W_V, W_K and W_Q, the decomposition excluded, against the time
   of one singular value decomposition of such a matrix; at most 0.2.
2. D = 4096, N = 512: peak memory, below 4 GiB.
3. D = 32, N = 600: the whole curve against dense D² x D² covariances; equal to 1e-9, and 20 times faster a rank.

Exit status 1 if one of them is missed. About a minute on two cores.
"""

import sys
import time
from functools import partial

import numpy as np
from measuring import median_seconds, peak_memory, resident_gib, seconds
from rich.console import Console
from rich.table import Table

from icl_theory import Model, gradient_noise, random_weights, truncate_weights, truncation_noise
from icl_theory.truncation.module_truncation import rank_of_rate

RATES = (0.0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)  # Y Section 2
LARGEST_RATIO, LARGEST_MEMORY, SMALLEST_GAIN, TOLERANCE = 0.2, 4.0, 20.0, 1e-9


def rates_against_svd(table: Table) -> bool:
    """All eight rates of each matrix, the decomposition given, over one decomposition."""
    dimension, count = 2048, 256
    model = random_weights(0, layers=1, token_dim=dimension)
    tokens = np.random.default_rng(0).standard_normal((count, dimension))
    ranks = [rank_of_rate(rate, dimension, dimension) for rate in RATES]
    svd_time, good = seconds(lambda: np.linalg.svd(model.value[0])), True
    table.add_row("SVD of a 2048 x 2048 matrix", f"{svd_time:.2f} s")
    for module in ("value", "key", "query"):
        known = np.linalg.svd(getattr(model, module)[0])
        curve = partial(truncation_noise, model, tokens, shots=64, module=module, ranks=ranks, decomposition=known)
        spent = median_seconds(curve, 3)
        table.add_row(f"{module}: eight rates at N = 256", f"{spent:.3f} s, ratio {spent / svd_time:.3f}")
        good &= spent <= LARGEST_RATIO * svd_time
    return good


def memory(table: Table) -> bool:
    """Traced peak of the call, and the largest resident size of this process, weights included."""
    dimension, count = 4096, 512
    rng = np.random.default_rng(1)
    factors = [np.linalg.qr(rng.standard_normal((dimension, dimension)))[0] for _ in range(2)]
    values = np.sort(rng.random(dimension))[::-1] + 0.1
    value = (factors[0] * values) @ factors[1]
    model = Model(value[None], rng.standard_normal((1, *value.shape)) / 64, value[None])
    tokens = rng.standard_normal((count, dimension))
    ranks = [rank_of_rate(rate, dimension, dimension) for rate in RATES]
    known = (factors[0], values, factors[1])
    work = partial(truncation_noise, model, tokens, shots=128, module="value", ranks=ranks, decomposition=known)
    peak, resident = peak_memory(work) / 2**30, resident_gib()
    table.add_row("D = 4096, N = 512, eight rates", f"peak {peak:.2f} GiB in the call, {resident:.2f} GiB resident")
    return max(peak, resident) <= LARGEST_MEMORY


def dense(model: Model, tokens: np.ndarray, rank: int, size: int) -> tuple[float, float]:
    """Trace and log-pseudo-determinant from the D² x D² covariance of the truncated layer."""
    noise = gradient_noise(truncate_weights(model, layer=0, module="value", rank=rank), tokens, shots=150)
    values = np.linalg.eigvalsh(noise.dense())[::-1]
    return float(values.sum()), float(np.log(values[:size]).sum())


def curve_against_dense(table: Table) -> bool:
    """Every rank of W_V; the dense method is timed at eight of them."""
    dimension, count = 32, 600
    loose, eye = random_weights(2, layers=1, token_dim=dimension, scale=0.3), np.eye(dimension)
    model = Model.create(loose.value + eye, loose.key + eye, loose.query + eye)
    tokens = np.random.default_rng(2).standard_normal((count, dimension))
    found = truncation_noise(model, tokens, shots=150, module="value")
    spent = median_seconds(lambda: truncation_noise(model, tokens, shots=150, module="value"), 3) / dimension
    probe, worst, start = range(3, dimension, 4), 0.0, time.perf_counter()
    for i in probe:
        trace, volume = dense(model, tokens, int(found.ranks[i]), int(found.dimension[i]))
        worst = max(worst, abs(found.trace[i] / trace - 1), abs(found.log_pseudo_determinant[i] / volume - 1))
    each = (time.perf_counter() - start) / len(probe)
    table.add_row("D = 32, N = 600: dense D² x D² definition", f"{1e3 * each:.0f} ms a rank")
    table.add_row(
        "whole curve, decomposition included", f"{1e3 * spent:.2f} ms a rank, {each / spent:.0f} times faster"
    )
    table.add_row("largest relative difference", f"{worst:.1e}")
    return each >= SMALLEST_GAIN * spent and worst <= TOLERANCE


def main() -> int:
    """Measure and print."""
    table = Table("", "measured", title="Noise of one layer at many ranks")
    good = [part(table) for part in (curve_against_dense, rates_against_svd, memory)]
    Console(width=110).print(table)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
