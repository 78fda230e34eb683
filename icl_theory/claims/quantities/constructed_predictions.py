"""Predictions of constructed transformers."""

from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.models.attention import predict as predict_labels
from icl_theory.tasks.linear_regression import Prompt


def query_input(case: Case) -> np.ndarray:
    """A query input, the same at every call."""
    return np.random.default_rng(case.seed + 1).standard_normal(case.task.dim)


def transformer_prediction(case: Case, **options: Any) -> np.ndarray:
    """The transformer's prediction."""
    tokens = case.demonstrations[None]
    prompt = Prompt(tokens[..., :-1], tokens[..., -1], query_input(case)[None], np.zeros(1))
    return predict_labels(case.model.replace(**options), prompt)
