"""Models with one matrix moved a little."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.models.model import Model

EDITS, _SIZE = 16, 0.01  # random directions, and the length of a step in units of the norm


def edited(case: Case, name: str, layer: int, direction: np.ndarray) -> Model:
    """The model with one matrix moved by 1 % of its norm along `direction`."""
    matrices = np.array(getattr(case.model, name))
    matrices[layer] += _SIZE * np.linalg.norm(matrices[layer]) / np.linalg.norm(direction) * direction
    return case.model.replace(**{name: matrices})
