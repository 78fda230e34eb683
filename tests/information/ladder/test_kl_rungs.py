"""The binary relative entropy form of the rungs: below the square-root form and the trivial bound, above the gap."""

import math
from typing import Any

import mpmath as mp
import pytest

from icl_theory import BoundLadder, LinearRegression, bound_ladder, random_weights

TASK = LinearRegression(2, noise_std=0.5)


def ladder(seed: int, layers: int, **changes: Any) -> BoundLadder:
    options: dict[str, Any] = {"demonstrations": 30, "shots": 10, "clip": 4.0, "samples": 256, "key": seed}
    return bound_ladder(random_weights(seed, layers=layers, token_dim=3, scale=0.7), TASK, **(options | changes))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("loss", ["clipped_squared", "zero_one"])
def test_never_vacuous(layers: int, loss: Any) -> None:
    """No finite bound is above the trivial one, none above its square-root form, none below the gap."""
    for seed in range(3):
        found = ladder(seed, layers, loss=loss)
        assert list(found.kl_rungs) == list(found.rungs)
        for name, bound in found.kl_rungs.items():
            assert math.isfinite(bound.value) == math.isfinite(found.rungs[name].value)
            assert not math.isfinite(bound.value) or bound.value < found.trivial
            assert bound.value <= found.rungs[name].value
            assert bound.value >= found.gap.value - 6 * math.hypot(found.gap.stderr, bound.stderr)


def test_definition() -> None:
    """N kl(q ‖ q + bound/c) is the information, q the mean loss on the demonstrations over c."""
    found = ladder(1, 1)
    assert found.empirical_loss.value == pytest.approx(found.population_loss.value - found.gap.value, rel=1e-12)
    q = mp.mpf(found.empirical_loss.value) / 4
    for name, bound in found.kl_rungs.items():
        if math.isfinite(bound.value):
            mu = q + mp.mpf(bound.value) / 4
            nats = 30 * (q * mp.log(q / mu) + (1 - q) * mp.log((1 - q) / (1 - mu)))
            assert float(nats) == pytest.approx(found.information[name].value, rel=1e-9)


def test_informative_again() -> None:
    """Three layers and strong weights: the square root is above c, the relative entropy form is not."""
    found = ladder(0, 3, demonstrations=12, shots=4)
    assert found.rungs["theorem_2_repaired"].value > found.trivial > found.kl_rungs["theorem_2_repaired"].value
