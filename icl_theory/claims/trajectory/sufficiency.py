"""Sufficiency of S: the whole trajectory depends on the demonstrations through their second moment only."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.token_loop import gradients_token_by_token
from icl_theory.descent.trajectory import implicit_trajectory


def predict(case: Case) -> np.ndarray:
    """The same from $S$: any tokens with the same second moment will do, so a square root of $S$ is used."""
    root = np.linalg.cholesky(case.demonstrations.T @ case.demonstrations)
    stand_in = root.T * np.sqrt(len(root) / len(case.demonstrations))
    return implicit_trajectory(case.model, stand_in).gradient


def _one_demonstration_less(case: Case) -> np.ndarray:
    return implicit_trajectory(case.model, case.demonstrations[:-1]).gradient


def _first_moment_too(case: Case) -> np.ndarray:
    centred = case.demonstrations - case.demonstrations.mean(axis=0)
    return implicit_trajectory(case.model, centred).gradient


CLAIM = Claim(
    source="new; follows from Y Eq. 3, arXiv:2406.03768v2",
    statement="All $G_t$ depend on the $N$ demonstrations only through $S = (1/N) Σ h hᵀ$.",
    origin="new",
    relation="equal",
    measure=gradients_token_by_token,
    predict=predict,
    explanation="The trajectory of the real tokens, moved layer by layer, is compared with that of $D$ other tokens "
    "that have the same $S$ (the rows of its Cholesky factor).",
    requires=("token covariance of full rank",),
    controls=(
        Control("one demonstration left out", predict=_one_demonstration_less),
        Control("covariance instead of second moment", predict=_first_moment_too),
        Control("sum instead of mean", predict=lambda case: predict(case) * len(case.demonstrations)),
    ),
)
