"""The test world: seeded, strict about promotion where asked, and watchful of jax's global settings."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The first call of a jitted function compiles, so a deadline per example would measure the compiler.
settings.register_profile(
    "icl_theory",
    deadline=None,
    derandomize=True,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("icl_theory")


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
