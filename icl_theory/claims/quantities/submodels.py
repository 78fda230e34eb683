"""Parts of a model: its first layers, and its MLP merged into W_V."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.weights import AttentionWeights


def first_layer(weights: AttentionWeights) -> AttentionWeights:
    """A one-layer model made of the first layer."""
    return AttentionWeights(weights.value[:1], weights.key[:1], weights.query[:1])


@lru_cache(maxsize=256)
def first_layers(case: Case, layers: int) -> Case:
    """The case with the first layers only."""
    w = case.weights
    return case.with_weights(AttentionWeights(w.value[:layers], w.key[:layers], w.query[:layers]), f"{layers} layers")


_HIDDEN = 12


def with_mlp(case: Case) -> Case:
    """The case's model with a random MLP in every layer."""
    rng, d = np.random.default_rng(case.seed), case.weights.dimension
    inner = rng.standard_normal((case.layers, _HIDDEN, d)) / np.sqrt(d)
    outer = rng.standard_normal((case.layers, d, _HIDDEN)) / np.sqrt(_HIDDEN)
    return case.with_weights(case.weights.replace(mlp_in=inner, mlp_out=outer), "MLP")


def _query(case: Case) -> np.ndarray:
    return np.random.default_rng(case.seed + 1).standard_normal(case.weights.dimension)


def without_mlp(case: Case) -> np.ndarray:
    """(I + W_L) h_q of the attention alone."""
    path = implicit_trajectory(case.weights, case.demonstrations)
    return _query(case) + path.accumulated[-1] @ _query(case)
