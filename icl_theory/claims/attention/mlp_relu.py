"""App. A.3 with ReLU: the linear form is off by a measured amount, never by nothing."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.mlp_updates import query_after_mlps, query_in_linear_form, relu_error
from icl_theory.claims.quantities.submodels import without_mlp


def _linear_error(case: Case) -> float:
    return float(abs(query_after_mlps(case) - query_in_linear_form(case)).max())


def _error_without_mlp(case: Case) -> float:
    return float(abs(query_after_mlps(case) - without_mlp(case)).max())


def counterexample() -> dict:
    """An MLP of one hidden unit and an attention output of -1: ReLU makes nothing of it."""
    return {"inner": [[1]], "outer": [[1]], "update": [-1]}


def recheck(found: dict) -> bool:
    """|W_out relu(W_in a) - W_out W_in a|² exceeds (1 %)² of |W_out W_in a|², in exact whole numbers."""
    inner, outer, update = (np.array(found[name], dtype=object) for name in ("inner", "outer", "update"))
    linear = outer @ inner @ update
    relu = outer @ np.array([max(entry, 0) for entry in inner @ update], dtype=object)
    return bool(10_000 * ((relu - linear) ** 2).sum() > (linear**2).sum() > 0)


CLAIM = Claim(
    source="Y App. A.3 with its activation, arXiv:2406.03768v2",
    statement="There are MLPs for which dropping the ReLU changes the query's update by more than 1 %.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=relu_error,
    predict=lambda case: 0.01,
    explanation="Relative error of the query's update when the ReLU of a random MLP is dropped, as the paper does; the "
    "record holds the error of every case.",
    controls=(
        Control("no activation", measure=_linear_error, expected=Verdict.HOLDS),
        Control("error below 1e-6", predict=lambda case: 1e-6),
        Control("no activation, MLP left out", measure=_error_without_mlp),
    ),
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
