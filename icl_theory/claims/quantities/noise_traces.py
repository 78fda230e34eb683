"""Traces of the noise covariance, untouched and truncated."""

from fractions import Fraction
from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.models.options import Module
from icl_theory.noise.covariance import sampling_factor
from icl_theory.truncation.svd import truncate


def noise_trace(case: Case, **replaced: np.ndarray) -> float:
    """$tr C = (N-b)/(b(N-1)) (1/N) Σ ||g_i - G||_F²$ of the first layer.

    `replaced`: matrices in the place of W_V, W_K or W_Q.
    """
    matrices = {name: getattr(case.model, name)[0] for name in ("value", "key", "query")} | replaced
    values = case.demonstrations @ matrices["value"].T
    scores = case.demonstrations @ matrices["key"].T @ matrices["query"]
    gradients = values[:, :, None] * scores[:, None]
    centred = gradients - gradients.mean(axis=0)
    return float(sampling_factor(len(values), case.shots) * (centred**2).sum() / len(values))


def truncated_traces(case: Case, module: Module) -> tuple[np.ndarray, np.ndarray]:
    """tr C at every rank r of one module, and with what was cut in its place."""
    full = getattr(case.model, module)[0]
    kept = [truncate(full, rank).matrix for rank in range(len(full) + 1)]
    traces = [(noise_trace(case, **{module: m}), noise_trace(case, **{module: full - m})) for m in kept]
    return np.array([a for a, _ in traces]), np.array([b for _, b in traces])


def exact_trace(found: dict[str, Any], key: np.ndarray) -> Fraction:
    """(N-b)/(b(N-1)) [(1/N) Σ ||g_i||_F² - ||G||_F²] in fractions, g_i = (W_V h_i)(W_Qᵀ W_K h_i)ᵀ."""
    value, query, tokens = (np.array(found[name], dtype=object) for name in ("value", "query", "tokens"))
    count, shots = len(tokens), found["shots"]
    gradients = [np.outer(value @ h, query.T @ (key @ h)) for h in tokens]
    total = np.sum(gradients, axis=0)
    spread = Fraction(int(sum((g**2).sum() for g in gradients)), count) - Fraction(int((total**2).sum()), count**2)
    return Fraction(count - shots, shots * (count - 1)) * spread
