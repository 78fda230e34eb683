"""Every rung of the ladder as information in nats, from the per-sample terms of simulated runs."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from icl_theory.core.estimate import Estimate
from icl_theory.information.covariance_roots import log_determinant, seen_singular, whitening, with_floor
from icl_theory.information.estimators.sandwich import Sandwich
from icl_theory.information.ladder.noisy_trajectory import Draws, Layer, Runs
from icl_theory.information.ladder.path_sandwich import PathSandwich
from icl_theory.information.ladder.readout import Readout
from icl_theory.information.ladder.setting import Setting

RUNGS = (
    "readout_sample",
    "readout",
    "individual_sample",
    "mutual_information",
    "path_information",
    "path_gaussian",
    "chain",
    "gaussian",
    "isotropic",
    "isotropic_zero",
    "theorem_2_repaired",
    "theorem_2_printed",
)
"""Tightest first; the docstring of `bound_ladder` states which comparisons are exact."""
_GAUSSIAN = ("path_gaussian", "chain", "gaussian")
_ISOTROPIC = ("isotropic", "isotropic_zero", "theorem_2_repaired")
_DOUBT = 1e-4  # nats of a log-determinant that rounding may leave open
_SPENT = "log det C_t in units of W, or |G_t|², is beyond float64 on some path; the rungs above need neither"


Reference = tuple[np.ndarray, np.ndarray]  # mean and covariance root of the prior, in symmetric coordinates


def reference_of(setting: Setting) -> Reference:
    """Mean and covariance root of the prior: E and Cov / b of the free coordinates of svec(u uᵀ), tokens h = B u."""
    return setting.law.centre, setting.law.spread / math.sqrt(setting.shots)


def singular(runs: Runs, setting: Setting) -> str:
    """Why every bound with a density on the support is infinite, or an empty string."""
    if setting.floor > 0:
        return ""
    reason = singular_law(setting) or too_few([layer.dimension for layer in runs.layers], setting)
    return reason or ("" if setting.law.exact else seen_singular(runs.draws.noise_root))


def singular_law(setting: Setting) -> str:
    """Why the tokens of the task make C_t singular with positive probability, or an empty string."""
    why = setting.law.singular
    return f"C_t is singular on its support with positive probability: {why}; a floor removes this" if why else ""


def too_few(dimensions: list[int], setting: Setting) -> str:
    """Why demonstrations are too few for supports of these dimensions, or an empty string."""
    for index, dimension in enumerate(dimensions):
        if setting.demonstrations - 1 < dimension:
            return (
                f"N - 1 = {setting.demonstrations - 1} is below d_S = {dimension} in layer {index}: "
                "C_t is singular on its support and its null space depends on the sample; a noise floor removes this"
            )
    return ""


def _apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Matrices (K or 1, d, m) times vectors (K, m)."""
    return np.einsum("kdm,km->kd", np.broadcast_to(matrices, (len(vectors), *matrices.shape[1:])), vectors)


def _divergence(
    layer: Layer, runs: Runs, setting: Setting, reference: tuple
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log det C_t, ½ log(det prior / det C_t) and ½ (tr prior⁻¹ (C_t + offset offsetᵀ) - d_t), each of shape (K,).

    The last two do not change under invertible maps and are taken in the coordinates of `layer.maps`, or where the
    layer's map cancels altogether in those of S: ill-conditioned weights cost them no digits. The first has the units
    of W; it is -inf where a path has spent its digits.
    """
    (mean, prior_root), draws = reference, runs.draws
    if layer.cancels:
        root, half_volume, prior = draws.noise_root, draws.log_volume, prior_root[None]
        offset = draws.moments - mean
    else:
        root = with_floor(layer.maps @ draws.noise_root, setting.floor)
        half_volume = log_determinant(root)
        prior = with_floor(layer.maps @ prior_root, setting.floor)
        offset = _apply(layer.maps, draws.moments - mean)
    inverse, prior_volume = whitening(prior)
    white = ((inverse @ root) ** 2).sum((-2, -1)) + (_apply(inverse, offset) ** 2).sum(-1)
    volume = _volume_in_units(layer, draws, setting)
    return volume, 0.5 * (prior_volume - half_volume), 0.5 * (white - layer.dimension)


def _volume_in_units(layer: Layer, draws: Draws, setting: Setting) -> np.ndarray:
    """log det C_t in orthonormal coordinates of V_t, shape (K,); -inf where its digits are spent."""
    if layer.map_volume is not None and setting.floor == 0:
        value, doubt = layer.map_volume
        known = doubt < _DOUBT
        return np.broadcast_to(draws.log_volume + 2 * np.where(known, value, -math.inf), len(draws.moments))
    with np.errstate(all="ignore"):
        root = with_floor(layer.support.matrix() @ draws.noise_root, setting.floor)
        volume = log_determinant(root, spent=-math.inf)
        known = np.isfinite(volume) & ((layer.support.doubt < _DOUBT) | (setting.floor > 0))
    return np.where(known, volume, -math.inf)


def layer_terms(layer: Layer, runs: Runs, setting: Setting, reference: Reference, index: int) -> dict[str, np.ndarray]:
    """Per-sample ingredients of every rung for one layer, each of shape (K,)."""
    volume, half_log_ratio, excess = _divergence(layer, runs, setting, reference)
    law = setting.law
    if index == 0 and law.exact and law.free is None:
        sizes = _exact_sizes(layer.support.matrix()[0], *reference, setting, layer.dimension)
        sizes = {name: np.full(len(volume), size) for name, size in sizes.items()}
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            sizes = _sampled_sizes(layer, runs.draws, reference[0], setting)
    # With the true moments E of the excess is exactly 0 where the map does not depend on the path, or where it cancels:
    # leaving it out there removes noise and does not change the value.
    exact = law.exact and (index == 0 or layer.cancels)
    return {
        "divergence": half_log_ratio + excess,
        "gaussian": half_log_ratio if exact else half_log_ratio + excess,
        "log_volume": volume,
        **sizes,
    }


def _sampled_sizes(layer: Layer, draws: Draws, mean: np.ndarray, setting: Setting) -> dict[str, np.ndarray]:
    """||G_t - g̃_t||² + tr C_t of every run, shape (K,), for the three references.

    The last two may leave out what of G_t does not vary with the demonstrations, see `RestrictedSupport`; they do not.
    """
    maps = layer.support.matrix()
    trace = ((maps @ draws.noise_root) ** 2).sum((-2, -1)) + layer.dimension * setting.floor
    return {
        "isotropic": (_apply(maps, draws.moments - mean) ** 2).sum(-1) + trace,
        "isotropic_zero": layer.size + trace,
        "theorem_2_repaired": layer.crude + trace,
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
        "theorem_2_repaired": setting.model.token_dim * (centre + spread * seen) + noise,
    }


def isotropic_terms(terms: list[dict[str, np.ndarray]], dims: list[int], name: str) -> np.ndarray:
    """Σ_t KL(N(G_t, C_t) || N(g̃_t, σ_t² I)) = ½ Σ_t [s_t/σ_t² - d_t + d_t log σ_t² - log det C_t] of every run, (K,).

    s_t = ||G_t - g̃_t||² + tr C_t. The best σ_t² is E s_t / d_t, but the logarithm of a sample mean is below that of the
    expectation. So every run is compared with the σ_t² that the other runs suggest: a prior that does not know it,
    hence an upper bound in expectation whatever σ_t² came out. +inf where C_t or a size is beyond float64.
    """
    count = len(terms[0]["log_volume"])
    total = np.zeros(count)
    for layer, width in zip(terms, dims, strict=True):
        if width == 0:
            continue
        if not (np.isfinite(layer["log_volume"]) & np.isfinite(layer[name])).all():
            return np.full(count, np.inf)
        sizes = layer[name]
        # Of the other runs, without a difference: one run of a heavy tail can be all but the sum of all.
        before, after = np.cumsum(sizes), np.cumsum(sizes[::-1])[::-1]
        variance = (np.append(0.0, before[:-1]) + np.append(after[1:], 0.0)) / ((count - 1) * width)
        total += 0.5 * (sizes / variance + width * (np.log(variance) - 1) - layer["log_volume"])
    return total


def isotropic_low(terms: list[dict[str, np.ndarray]], dims: list[int], name: str) -> Estimate:
    """½ Σ_t [d_t log(mean s_t / d_t) - mean log det C_t] over all runs: on the mean *below* the rung, by Jensen.

    What a check that something stays below the rung may rest on. Error by the delta method.
    """
    value, linear = 0.0, np.zeros(len(terms[0]["log_volume"]))
    for layer, width in zip(terms, dims, strict=True):
        if width == 0:
            continue
        if not (np.isfinite(layer["log_volume"]) & np.isfinite(layer[name])).all():
            return Estimate(math.inf, direction="lower", note=_SPENT)
        size = layer[name].mean()
        value += float(0.5 * (width * math.log(size / width) - layer["log_volume"].mean()))
        linear += 0.5 * (width * (layer[name] / size - 1) - (layer["log_volume"] - layer["log_volume"].mean()))
    return Estimate(value, Estimate.from_samples(linear).stderr, len(linear), "lower")


def mean_estimate(values: np.ndarray, direction: Any, unit: str, note: str = "") -> Estimate:
    return Estimate.from_samples(values, direction, unit, note)


class Collected:
    """Results of the batches so far."""

    def __init__(self) -> None:
        self.dimensions: list[int] = []
        self.reason = ""
        infinite = Sandwich.infinite("")
        self.ends = PathSandwich(infinite, infinite.upper, np.zeros(0))
        self.readout = Readout.known(infinite.upper, None)
        self.path: list[np.ndarray] = []
        self.chain: list[np.ndarray] = []
        self.outputs: list[tuple[np.ndarray, Draws]] = []
        self._terms: list[list[dict[str, np.ndarray]]] = []

    def add(self, terms: list[dict[str, np.ndarray]]) -> None:
        self._terms.append(terms)

    def merged(self) -> list[dict[str, np.ndarray]]:
        """Per layer, the terms of all samples."""
        layers = range(len(self._terms[0]))
        names = self._terms[0][0]
        return [{n: np.concatenate([batch[t][n] for batch in self._terms]) for n in names} for t in layers]


def low_ends(collected: Collected) -> dict[str, Estimate]:
    """The isotropic rungs from below, in nats."""
    if collected.reason:
        return dict.fromkeys(_ISOTROPIC, Estimate(math.inf, direction="lower", note=collected.reason))
    merged = collected.merged()
    return {name: isotropic_low(merged, collected.dimensions, name) for name in _ISOTROPIC}


def rung_information(collected: Collected) -> tuple[dict, dict]:
    """Every rung as an `Estimate` in nats, and the per-sample terms for paired comparisons."""
    printed = (
        "its hypothesis C_t ≻ 0 on all D² coordinates never holds for D ≥ 2, since rank C_t ≤ min(N-1, D(D+1)/2) < D²"
    )
    found, several = collected.ends.sandwich, len(collected.dimensions) > 1
    upper = found.upper
    last = replace(upper, note="I(W_L; H_s) ≤ I(W_{1:L}; H_s)") if several and not collected.reason else upper
    information = {
        "readout_sample": collected.readout.individual,
        "readout": collected.readout.information,
        "individual_sample": collected.ends.individual,
        "mutual_information": last,
        "path_information": upper,
    }
    pairs = {"readout": collected.readout.influence, "readout_sample": collected.readout.individual_influence}
    pairs |= {
        "individual_sample": collected.ends.influence,
        "sandwich_lower": found.influence.get("lower", np.zeros(0)),
    }
    pairs |= dict.fromkeys(("mutual_information", "path_information"), found.influence.get("upper", np.zeros(0)))
    terms = {name: values for name, values in pairs.items() if values.size}
    if collected.reason:
        infinite = Estimate(math.inf, direction="upper", note=collected.reason)
        information |= dict.fromkeys((*_GAUSSIAN, *_ISOTROPIC), infinite)
    else:
        merged = collected.merged()
        samples = len(merged[0]["gaussian"])
        terms["path_gaussian"], terms["chain"] = np.concatenate(collected.path), np.concatenate(collected.chain)
        for name in ("divergence", "gaussian"):
            terms[name] = sum((layer[name] for layer in merged), np.zeros(samples))
        for name in _GAUSSIAN:
            information[name] = mean_estimate(terms[name], "upper", "nats")
        for name in _ISOTROPIC:
            terms[name] = isotropic_terms(merged, collected.dimensions, name)
            information[name] = mean_estimate(terms[name], "upper", "nats")
            if not math.isfinite(information[name].value):
                information[name] = Estimate(math.inf, direction="upper", note=_SPENT)
                del terms[name]
    information["theorem_2_printed"] = Estimate(math.inf, direction="upper", note=printed)
    return information, terms
