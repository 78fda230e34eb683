"""Universality: with invertible weights the Gaussian rung does not depend on the weights at all."""

import numpy as np

from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import CLIP, LADDER_DEMONSTRATIONS, LADDER_SHOTS, Case, Workshop
from icl_theory.constructions import random_weights
from icl_theory.information.ladder import bound_ladder
from icl_theory.truncation import truncate_weights


def _terms(case: Case, *, layers: int, shots: int = LADDER_SHOTS, cut: bool = False) -> np.ndarray:
    """Per-run Gaussian rung of unrelated random weights on the case's own data."""
    weights = random_weights(case.seed + 1, layers=layers, dimension=case.weights.dimension, scale=1.0)
    if cut:
        weights = truncate_weights(weights, layer=0, module="value", rank=5)
    ladder = bound_ladder(
        weights,
        case.task,
        demonstrations=LADDER_DEMONSTRATIONS,
        shots=shots,
        clip=CLIP,
        samples=case.samples,
        key=case.seed,
        task_vector=case.task_vector,
        pairs=2,  # the sandwich is not used here
    )
    return ladder.terms["gaussian"]


def predict(case: Case) -> np.ndarray:
    """L times the one-layer value of other weights."""
    return case.layers * _terms(case, layers=1)


def _invertible(workshop: Workshop) -> list[Case]:
    some = (workshop.profile.seeds + 1) // 2
    kinds = (workshop.random, workshop.trained_cases)
    return [case for layers in (1, 3) for kind in kinds for case in kind(layers)[:some]]


CLAIM = Claim(
    label="universality",
    source="new",
    statement="With invertible weights the Gaussian rung is L times a number that depends on N, b and the data only.",
    printed="new",
    relation="equal",
    measure=lambda case: case.ladder().terms["gaussian"],
    predict=predict,
    explanation="Pulled back to symmetric coordinates, gradient and noise of every layer are S and its sampling "
    "covariance. Run by run, random and trained models with one and three layers against one layer of other weights.",
    controls=(
        Control("other weights at rank 5", {"predict": lambda c: c.layers * _terms(c, layers=1, cut=True)}),
        Control("one shot more", {"predict": lambda c: c.layers * _terms(c, layers=1, shots=LADDER_SHOTS + 1)}),
        Control("one layer too many", {"predict": lambda c: (c.layers + 1) * _terms(c, layers=1)}),
    ),
    cases=_invertible,
    # log det of maps that are conditioned up to 1e7 here; 21 coordinates each.
    tolerance=1e-8,
)
