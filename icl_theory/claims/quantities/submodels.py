"""Parts of a model: its first layers, and its MLP merged into W_V."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.model import Model


def first_layer(model: Model) -> Model:
    """A one-layer model made of the first layer."""
    return Model(model.value[:1], model.key[:1], model.query[:1])


@lru_cache(maxsize=256)
def first_layers(case: Case, layers: int) -> Case:
    """The case with the first layers only."""
    w = case.model
    return case.with_model(Model(w.value[:layers], w.key[:layers], w.query[:layers]), f"{layers} layers")


_HIDDEN = 12


def with_mlp(case: Case) -> Case:
    """The case's model with a random MLP in every layer."""
    rng, d = np.random.default_rng(case.seed), case.model.token_dim
    inner = rng.standard_normal((case.layers, _HIDDEN, d)) / np.sqrt(d)
    outer = rng.standard_normal((case.layers, d, _HIDDEN)) / np.sqrt(_HIDDEN)
    return case.with_model(case.model.replace(mlp_in=inner, mlp_out=outer), "MLP")


def query_token(case: Case) -> np.ndarray:
    return np.random.default_rng(case.seed + 1).standard_normal(case.model.token_dim)


def without_mlp(case: Case) -> np.ndarray:
    """(I + W_L) h_q of the attention alone."""
    path = implicit_trajectory(case.model, case.demonstrations)
    return query_token(case) + path.accumulated[-1] @ query_token(case)
