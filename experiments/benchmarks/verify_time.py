"""Wall time of `icl-theory verify` with an empty and with a filled compilation cache, and of `icl-theory --help`.

Arguments are handed on to `verify`, for instance `--claims lemma_1`.
"""

import os
import subprocess
import sys
import tempfile
import time


def seconds(arguments: list[str], cache: str) -> float:
    """Wall time of one command in a fresh process; its progress goes to standard error. Raises: RuntimeError."""
    environment = os.environ | {"XDG_CACHE_HOME": cache}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    start = time.perf_counter()
    command = [sys.executable, "-m", "icl_theory", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(arguments)} ended with status {done.returncode}")
    return time.perf_counter() - start


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as cache:
        helped = min(seconds(["--help"], cache) for _ in range(3))
        cold, warm = (seconds(["verify", *sys.argv[1:]], cache) for _ in range(2))
    print(f"icl-theory --help         {helped:6.2f} s  (best of 3)")
    print(f"icl-theory verify, cold   {cold:6.1f} s")
    print(f"icl-theory verify, warm   {warm:6.1f} s")
    print(f"warm / cold               {warm / cold:6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
