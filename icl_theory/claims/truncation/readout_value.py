"""The artefact of bound versus rank: rows of W_V that no loss reads lower a ladder, and neither readout nor risk."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.information.ladder.bound_ladder import BoundLadder, bound_ladder
from icl_theory.models.model import Model

_RUNGS = ("readout", "gaussian")


def label_row_alone(model: Model) -> Model:
    """W_V with every row but the label's set to 0: rank one."""
    value = np.zeros_like(model.value)
    value[:, -1] = model.value[:, -1]
    return model.replace(value=value)


@lru_cache(maxsize=128)
def ladder(case: Case, cut: str = "") -> BoundLadder:
    """The ladder of the case's first layer, or of one with W_V or W_K at rank one, on common draws."""
    model = case.model.first_layers(1)
    if cut == "value":
        model = label_row_alone(model)
    if cut == "key":
        key = model.key.copy()
        key[0] = np.outer(key[0][:, 0], key[0][0]) / np.abs(key[0][0, 0])
        model = model.replace(key=key)
    return bound_ladder(
        model, case.task, demonstrations=80, shots=20, clip=4.0, samples=64, key=3, task_vector=case.task_vector
    )


def numbers(case: Case, cut: str = "", rung: str = "readout") -> np.ndarray:
    """Information of the rung in nats, the gap and the population loss."""
    found = ladder(case, cut)
    return np.array([found.information[rung].value, found.gap.value, found.population_loss.value])


CLAIM = Claim(
    source="new; on Y Section 3.3 and Remark 4 as an account of why truncation helps, arXiv:2406.03768v2",
    statement="In one layer $I(p; H_s)$, the gap and the risk depend on $W_V$ through its label row alone: with all "
    "other rows set to 0, rank one, none of them changes.",
    origin="new",
    relation="equal",
    measure=lambda case: numbers(case, "value"),
    predict=numbers,
    explanation="The first layer with $W_V$ as it is and with its label row alone, on common draws: equal in all "
    "digits, while the Gaussian rung falls with $d_S$, from 21 to 6 (a control). Rungs that count all of $W$ fall "
    "under truncation of $W_V$ because they drop what nobody reads. With $W_K$ at rank one the readout itself loses "
    "dimensions (a control).",
    controls=(
        Control(
            "the Gaussian rung",
            measure=lambda case: numbers(case, "value", "gaussian"),
            predict=lambda case: numbers(case, rung="gaussian"),
        ),
        Control("$W_K$ at rank one", measure=lambda case: numbers(case, "key")),
        Control("off by 1 %", predict=lambda case: 1.01 * numbers(case)),
    ),
    cases=lambda factory: [*factory.random(1), *factory.random(factory.depth)[:2], *factory.trained(1)[:2]],
    tolerance=1e-8,
)
