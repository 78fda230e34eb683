"""Every rung of the ladder as information in nats, from the per-sample terms of simulated runs."""

import math
from typing import Any

import numpy as np

from icl_theory.estimate import Estimate
from icl_theory.information.channel import log_determinant, whitening, with_floor
from icl_theory.information.sandwich import Sandwich
from icl_theory.information.simulation import Layer, Runs, Setting

RUNGS = (
    "mutual_information",
    "gaussian",
    "isotropic",
    "isotropic_zero",
    "theorem_2_repaired",
    "theorem_2_printed",
)


def _stacked(inverse: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A whitening matrix for every offset, where one may serve all."""
    return np.broadcast_to(inverse, (len(offset), *inverse.shape[1:])), offset


def layer_terms(layer: Layer, runs: Runs, setting: Setting, reference: tuple, index: int) -> dict[str, np.ndarray]:
    """Per-sample ingredients of every rung for one layer, each of shape (K,)."""
    mean, prior_root = reference
    width, maps = layer.dimension, layer.maps
    root = with_floor(maps @ runs.draws.noise_root, setting.floor)
    signal = np.einsum(
        "kdm,km->kd", np.broadcast_to(maps, (len(runs.draws.moments), *maps.shape[1:])), runs.draws.moments
    )
    offset = signal - maps @ mean
    inverse, prior_volume = whitening(with_floor(maps @ prior_root, setting.floor))
    volume = log_determinant(root)
    half_log_ratio = 0.5 * (prior_volume - volume)
    white = ((inverse @ root) ** 2).sum((-2, -1)) + (np.einsum("kde,ke->kd", *_stacked(inverse, offset)) ** 2).sum(-1)
    excess = 0.5 * (white - width)
    # E of the excess is exactly 0 where the map does not depend on the path, or where it cancels (an invertible map
    # and no floor): leaving it out there removes noise and keeps the value.
    cancels = index == 0 or (width == maps.shape[-1] and setting.floor == 0)
    if index == 0:
        sizes = _exact_sizes(maps[0], mean, prior_root, setting, width)
        sizes = {name: np.full(len(volume), size) for name, size in sizes.items()}
    else:
        trace = (root**2).sum((-2, -1))
        sizes = {
            "isotropic": (offset**2).sum(-1) + trace,
            "isotropic_zero": (signal**2).sum(-1) + trace,
            "theorem_2_repaired": layer.crude + trace,
        }
    return {
        "divergence": half_log_ratio + excess,
        "gaussian": half_log_ratio if cancels else half_log_ratio + excess,
        "log_volume": volume,
        **sizes,
    }


def _exact_sizes(maps: np.ndarray, mean: np.ndarray, prior_root: np.ndarray, setting: Setting, width: int) -> dict:
    """E[||G - g̃||² + tr C] in the first layer, where M = I: Gaussian moments, no sampling.

    With K = P Cov(h hᵀ) Pᵀ: E||G - E G||² = tr K / N, E tr C = tr K (1/b - 1/N) + d ε², and ||I||_F² = D.
    """
    spread = float(((maps @ prior_root) ** 2).sum())  # tr K / b
    seen = setting.shots / setting.demonstrations
    centre = float(((maps @ mean) ** 2).sum())
    noise = spread * (1 - seen) + width * setting.floor
    return {
        "isotropic": spread * seen + noise,
        "isotropic_zero": centre + spread * seen + noise,
        "theorem_2_repaired": setting.weights.dimension * (centre + spread * seen) + noise,
    }


def _isotropic_information(terms: list[dict[str, np.ndarray]], dims: list[int], name: str) -> tuple[float, np.ndarray]:
    """½ Σ_t [d_t log(E[||G_t - g̃_t||² + tr C_t] / d_t) - E log det C_t] and its per-sample linearisation."""
    value, linear = 0.0, np.zeros(len(terms[0]["log_volume"]))
    for layer, width in zip(terms, dims, strict=True):
        if width == 0:
            continue
        size = layer[name].mean()
        value += float(0.5 * (width * math.log(size / width) - layer["log_volume"].mean()))
        linear += 0.5 * (width * (layer[name] / size - 1) - (layer["log_volume"] - layer["log_volume"].mean()))
    return value, value + linear


def mean_estimate(values: np.ndarray, direction: Any, unit: str, note: str = "") -> Estimate:
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(float(values.mean()), error, len(values), direction, unit, note)


class Collected:
    """What the batches have given so far."""

    def __init__(self) -> None:
        self.dimensions: list[int] = []
        self.reason = ""
        self.sandwich = Sandwich.infinite("")
        self.outputs: list[tuple[np.ndarray, np.ndarray]] = []
        self._terms: list[list[dict[str, np.ndarray]]] = []

    def add(self, terms: list[dict[str, np.ndarray]]) -> None:
        self._terms.append(terms)

    def merged(self) -> list[dict[str, np.ndarray]]:
        """Per layer, the terms of all samples."""
        layers = range(len(self._terms[0]))
        names = self._terms[0][0]
        return [{n: np.concatenate([batch[t][n] for batch in self._terms]) for n in names} for t in layers]


def rung_information(collected: Collected) -> tuple[dict, dict]:
    """Every rung as an `Estimate` in nats, and the per-sample terms for paired comparisons."""
    printed = (
        "its hypothesis C_t ≻ 0 on all D² coordinates never holds for D ≥ 2, since rank C_t ≤ min(N-1, D(D+1)/2) < D²"
    )
    information, terms = {"mutual_information": collected.sandwich.upper}, {}
    if collected.reason:
        information |= {n: Estimate(math.inf, direction="upper", note=collected.reason) for n in RUNGS[1:-1]}
    else:
        merged = collected.merged()
        samples = len(merged[0]["gaussian"])
        terms["divergence"] = sum((layer["divergence"] for layer in merged), np.zeros(samples))
        terms["gaussian"] = sum((layer["gaussian"] for layer in merged), np.zeros(samples))
        information["gaussian"] = mean_estimate(terms["gaussian"], "upper", "nats")
        for name in RUNGS[2:-1]:
            value, terms[name] = _isotropic_information(merged, collected.dimensions, name)
            error = float(terms[name].std(ddof=1) / np.sqrt(samples))
            information[name] = Estimate(value, error, samples, "upper")
    information["theorem_2_printed"] = Estimate(math.inf, direction="upper", note=printed)
    return information, terms
