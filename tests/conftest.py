"""The test world: seeded, strict about promotion where requested, and watchful of jax's global settings."""

import os
from collections.abc import Iterator
from pathlib import Path

# Before jax reads them: the user's own settings are not what is tested, in this process or in one that it starts.
for _name in [name for name in os.environ if name.startswith("JAX_") and name != "JAX_PLATFORMS"]:
    del os.environ[_name]

# The processes of a run of all tests would wait for one another's threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax  # noqa: E402
import numpy as np  # noqa: E402
import platformdirs  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# The first call of a jitted function compiles, so a deadline per example would measure the compiler.
settings.register_profile(
    "icl_theory",
    deadline=None,
    derandomize=True,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("icl_theory")


CACHE = os.environ.get("ICL_TEST_CACHE") or str(platformdirs.user_cache_path("icl_theory") / "tests")
"""Compiled programs of the tests, kept between runs: a program that has changed has another name there."""
os.environ["XDG_CACHE_HOME"] = str(Path(CACHE).absolute() / "user")
"""What the package keeps for its users, trained ensembles above all, the tests keep here."""
MOST_WORKERS = 4
"""Processes for a run of all tests; each of them holds about a gigabyte."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process per core for a run of all tests; files named on the command line run in this process."""
    if not all(os.path.isdir(argument) for argument in config.args):
        return 0
    return min(MOST_WORKERS, os.cpu_count() or 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--closest N` lists the comparisons that nearly missed their tolerance; see `closeness`."""
    parser.addoption("--closest", type=int, default=0, metavar="N", help="list the N comparisons nearest to failure")


def pytest_configure(config: pytest.Config) -> None:
    jax.config.update("jax_compilation_cache_dir", CACHE)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    if shown := config.getoption("--closest"):
        from closeness import Closeness  # wraps comparisons, so only where it is requested

        config.pluginmanager.register(Closeness(shown))


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers in every run, and in every test whatever the others drew."""
    return np.random.default_rng(20240603)


@pytest.fixture(autouse=True)
def _settings_of_jax_are_left_alone() -> Iterator[None]:
    """Double precision is the package's own business: the tests run in jax's default and must leave it so."""
    assert not jax.config.read("jax_enable_x64")
    before = dict(jax.config.values)
    yield
    assert dict(jax.config.values) == before


@pytest.fixture
def strict_promotion() -> Iterator[None]:
    """No implicit promotion between types: a float32 array in a float64 formula is an error."""
    with jax.numpy_dtype_promotion("strict"):
        yield
