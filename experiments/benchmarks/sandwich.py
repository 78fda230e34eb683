"""What the sandwich of `mutual_information` costs, against the definition: a density per pair.

1. K = 4096 pairs in dimension 21: at most 3 s; and the definition on the same pairs, which has to give the same lower
   end to 1e-9.
2. K = 32768 pairs in dimension 21: peak memory of a process of its own, packages included, below 2 GiB. A whole
   table of log densities would take 8 GiB.

Exit status 1 if one of them is missed. About a minute on two cores.
"""

import multiprocessing
import sys
import time

import numpy as np
from measuring import median_seconds, resident_gib, seconds
from rich.console import Console
from rich.table import Table
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from icl_theory import mutual_information

DIMENSION, MEDIUM, LARGE = 21, 4096, 32768
LONGEST, LARGEST_MEMORY, TOLERANCE = 3.0, 2.0, 1e-9


def pairs(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs, means and covariances, which differ from input to input as those of a gradient's noise do."""
    rng = np.random.default_rng(count)
    means = rng.standard_normal((count, DIMENSION))
    roots = np.eye(DIMENSION) + 0.3 * rng.standard_normal((count, DIMENSION, DIMENSION)) / np.sqrt(DIMENSION)
    outputs = means + np.einsum("kij,kj->ki", roots, rng.standard_normal((count, DIMENSION)))
    return outputs, means, roots @ roots.transpose(0, 2, 1)


def definition(outputs: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> float:
    """The lower end, mean over i of log p(w_i | H_i) - log mean over j of p(w_i | H_j), from the whole K x K table."""
    table = np.empty((len(outputs), len(means)))
    for j, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        lower = np.linalg.cholesky(covariance)
        white = solve_triangular(lower, (outputs - mean).T, lower=True)
        table[:, j] = -0.5 * (white**2).sum(0) - np.log(np.diagonal(lower)).sum() - DIMENSION / 2 * np.log(2 * np.pi)
    return float(np.mean(np.diagonal(table) - np.asarray(logsumexp(table, axis=1)) + np.log(len(means))))


def resident(count: int) -> tuple[float, float]:
    """Seconds of one sandwich, and the largest resident size of this process in GiB."""
    drawn = pairs(count)
    return seconds(lambda: mutual_information(*drawn)), resident_gib()


def speed(table: Table) -> bool:
    """Median of three sandwiches, and one evaluation of the definition on the same pairs."""
    drawn = pairs(MEDIUM)
    spent = median_seconds(lambda: mutual_information(*drawn), 3)
    found, start = mutual_information(*drawn), time.perf_counter()
    expected = definition(*drawn)
    slow = time.perf_counter() - start
    worst = abs(found.lower.value / expected - 1)
    table.add_row(f"K = {MEDIUM}, d = {DIMENSION}: both ends", f"{spent:.2f} s")
    table.add_row("definition of the lower end, a triangle per input", f"{slow:.1f} s, {slow / spent:.0f} times slower")
    table.add_row("lower end, relative difference", f"{found.lower.value:.4f} nats, {worst:.1e}")
    return spent <= LONGEST and worst <= TOLERANCE


def memory(table: Table) -> bool:
    """The large sandwich in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        spent, peak = pool.apply(resident, (LARGE,))
    table.add_row(f"K = {LARGE}, d = {DIMENSION}", f"{spent:.1f} s, {peak:.2f} GiB resident")
    return peak <= LARGEST_MEMORY


def main() -> int:
    """Measure and print."""
    table = Table("", "measured", title="The sandwich of a Gaussian channel")
    good = [part(table) for part in (speed, memory)]
    Console(width=100).print(table)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
