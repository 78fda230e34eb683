"""Wall times and peak memory for the benchmarks of this folder."""

import resource
import statistics
import time
import tracemalloc
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], repeats: int, *, warm: bool = False) -> float:
    """Median wall time of `repeats` runs, after one that is not counted if `warm`."""
    if warm:
        work()
    return statistics.median(seconds(work) for _ in range(repeats))


def peak_memory(work: Callable[[], object]) -> int:
    """Peak of the memory that Python and numpy allocate during `work`, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def resident_gib() -> float:
    """Largest resident size of this process so far, in GiB; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
