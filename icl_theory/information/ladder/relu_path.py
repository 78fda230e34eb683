"""Noisy updates with a ReLU MLP behind every one of several layers, and a prior that is simulated along their path.

Layer t moves a token h to h + W_out max(W_in ΔW_t h, 0), where ΔW_t = W_V X_t W_KᵀW_Q and X_t ~ N(S_t, C_t) is a noisy
observation of the second moment of the tokens as they enter: W is the sequence of the ΔW_t. Given those before it, how
a token moves is known, whatever the demonstrations. So fresh tokens moved along the same path say where S_t would be if
H_s were not known: q_t = N(mean, Cov/b) of their svec(h hᵀ) never sees H_s, and Σ_t E KL(p_t ‖ q_t) ≥ I(W; H_s).
New, not in Y (arXiv:2406.03768v2).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.numerics import transpose
from icl_theory.core.symmetric import outer_coordinates, symmetric_matrix
from icl_theory.information.covariance_roots import log_determinant, whitening, with_floor
from icl_theory.information.estimators.sandwich import Sandwich
from icl_theory.information.ladder.noisy_trajectory import Draws, images
from icl_theory.information.ladder.path_prior import times
from icl_theory.information.ladder.path_sandwich import PathSandwich
from icl_theory.information.ladder.readout import Readout
from icl_theory.information.ladder.rungs import Collected, mean_estimate, singular_law, too_few
from icl_theory.information.ladder.setting import Setting
from icl_theory.noise.covariance import layer_factors, sampling_factor
from icl_theory.noise.layer_spaces import Structure, canonical_support, layer_structures
from icl_theory.noise.multi_head_support import SummedRank, SummedSupport, support_of
from icl_theory.noise.support import Support

_FRESH = 2048  # tokens behind the prior of every run
_SEED = 0x2E1
_CHUNK_ENTRIES = 2**24
_LARGEST = 1e150  # size of a token whose square is finite
_NOTE = "behind several ReLUs the simulated Gaussian prior stands for every sharper rung"


def moved(tokens: np.ndarray, update: np.ndarray, mlp: tuple[np.ndarray, np.ndarray], layer: int) -> np.ndarray:
    """Tokens (K or 1, N, D) after one layer with the updates ΔW_t (K, D, D), shape (K, N, D)."""
    into, out = mlp[0][layer], mlp[1][layer]
    return tokens + np.maximum(tokens @ transpose(update) @ into.T, 0.0) @ out.T


def collect(setting: Setting, batches: Iterable[Draws]) -> Collected:
    """As for linear models: terms per layer and losses of all runs, where the updates (K, L, D, D) stand for W_L.

    Raises: ValueError for tokens that do not span all their dimensions, whose second moments are singular only as long
        as they have not met a ReLU.
    """
    size = setting.model.token_dim
    if setting.law.free is not None or setting.basis.shape[1] < size:
        got = "labels without noise, or of constant size" if setting.law.free is None else "labels of constant size"
        hint = "add label noise, or use a model with one layer"
        raise checks.error("task for several ReLU layers", got, "tokens that vary in all directions", hint)
    structures, result = layer_structures(setting.model, np.eye(size)), Collected()
    result.dimensions = [structure.dimension for structure in structures]
    result.reason = "" if setting.floor > 0 else singular_law(setting) or too_few(result.dimensions, setting)
    for draws in batches:
        terms, updates = _run(setting, draws, structures, result.reason)
        if not result.reason:
            result.add(terms)
            result.path.append(np.sum([layer["divergence"] for layer in terms], axis=0))
            result.chain.append(result.path[-1])
        result.outputs.append((updates, draws))
    if result.reason:
        infinite = Sandwich.infinite(result.reason)
        result.ends = PathSandwich(infinite, infinite.upper, np.zeros(0))
        result.readout = Readout.known(infinite.upper, None)
        return result
    upper = mean_estimate(np.concatenate(result.path), "upper", "nats", _NOTE)
    whole = Sandwich(Estimate(0.0, direction="lower", note=_NOTE), upper, False)
    result.ends, result.readout = PathSandwich(whole, upper, np.zeros(0)), Readout.known(upper, None)
    return result


def _run(setting: Setting, draws: Draws, structures: list[Structure], reason: str) -> tuple[list[dict], np.ndarray]:
    """The terms of every layer, none if the noise is singular, and the noisy updates, shape (K, L, D, D)."""
    tokens, eye = draws.tokens, np.eye(setting.model.token_dim)[None]
    rng = np.random.default_rng([_SEED, _FRESH])
    fresh = setting.law.sample(rng, 1, _FRESH) @ setting.basis.T
    fresh = np.broadcast_to(fresh, (len(tokens), *fresh.shape[1:]))
    terms, updates = [], []
    mlp: Any = setting.mlp  # there is one: `Setting.through_relus` leads here
    for layer, structure in enumerate(structures):
        left, right = layer_factors(setting.model, layer, np.zeros_like(eye))
        ranks = structure if isinstance(structure, SummedRank) else structure.ranks
        support = support_of(left, right, ranks)
        maps = support.matrix() if setting.floor > 0 else canonical_support(structure, eye, (left, right))
        mean, centred, scale = _sampling(setting, tokens)
        root = scale * transpose(np.asarray(np.linalg.qr(centred, mode="r")))
        observation = symmetric_matrix(mean + scale * (draws.mix[:, layer, None] @ centred)[:, 0], tokens.shape[-1])
        update = images(left, observation, right)
        if setting.floor > 0:
            update = update + support.embed(np.sqrt(setting.floor) * support.project(draws.extra[:, layer]))
        if not reason:
            terms.append(_terms(setting, support, maps, (mean, root), _prior(setting, fresh)))
        updates.append(update)
        tokens = moved(tokens, update, mlp, layer)
        fresh = moved(fresh, update, mlp, layer) if layer + 1 < len(structures) else fresh
        if not max(np.abs(tokens).max(), np.abs(fresh).max()) < _LARGEST:
            hint = "scale the weights down"
            raise checks.error("model", f"tokens beyond the range of float64 in layer {layer}", "finite tokens", hint)
    return terms, np.stack(updates, axis=1)


def _sampling(setting: Setting, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """svec S (K, m), svec(h hᵀ) - svec S of every token (K, N, m), and what makes of them a root of C_X."""
    features = outer_coordinates(tokens)
    mean = features.mean(axis=1)
    total = setting.demonstrations
    scale = float(np.sqrt(sampling_factor(total, setting.shots) / total))
    return mean, features - mean[:, None], scale


def _prior(setting: Setting, fresh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (K, m) and root (K, m, m) of Cov/b of svec(h hᵀ) of the fresh tokens of every run."""
    width = fresh.shape[-1] * (fresh.shape[-1] + 1) // 2
    pieces = max(1, len(fresh) * fresh.shape[1] * width // _CHUNK_ENTRIES)
    means, roots = [], []
    for piece in np.array_split(fresh, min(pieces, len(fresh))):
        features = outer_coordinates(piece)
        means.append(features.mean(axis=1))
        triangle = np.linalg.qr(features - means[-1][:, None], mode="r")
        roots.append(transpose(np.asarray(triangle)) / np.sqrt((fresh.shape[1] - 1) * setting.shots))
    return np.concatenate(means), np.concatenate(roots)


def _terms(
    setting: Setting,
    support: Support | SummedSupport,
    maps: np.ndarray,
    own: tuple[np.ndarray, np.ndarray],
    prior: tuple[np.ndarray, np.ndarray],
) -> dict[str, np.ndarray]:
    """KL of one layer in every run, and the sizes and volumes of its isotropic rungs, each of shape (K,)."""
    floor, width = setting.floor, support.dimension
    root = with_floor(maps @ own[1], floor)
    inverse, volume = whitening(with_floor(maps @ prior[1], floor))
    offset = times(inverse, times(maps, own[0] - prior[0]))
    white = ((inverse @ root) ** 2).sum((-2, -1)) + (offset**2).sum(-1)
    divergence = 0.5 * (volume - log_determinant(root) + white - width)
    in_units = support.matrix()
    noise = with_floor(in_units @ own[1], floor)
    trace = (noise**2).sum((-2, -1))
    centre = (times(in_units, own[0]) ** 2).sum(-1)
    return {
        "divergence": divergence,
        "gaussian": divergence,
        "log_volume": log_determinant(noise, spent=-np.inf),
        "isotropic": (times(in_units, own[0] - prior[0]) ** 2).sum(-1) + trace,
        "isotropic_zero": centre + trace,
        # Behind a ReLU an update multiplies no I + W_{t-1}; ||I||² = D is left of the theorem's factor.
        "theorem_2_repaired": setting.model.token_dim * centre + trace,
    }
