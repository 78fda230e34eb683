"""App. A.3 with ReLU: the linear form is off by a measured amount, never by nothing."""

from icl_theory.claims.base import Claim, Control, Verdict
from icl_theory.claims.cases import Case
from icl_theory.claims.mlp_linear import measure, predict, relu_error


def _linear_error(case: Case) -> float:
    return float(abs(measure(case) - predict(case)).max())


CLAIM = Claim(
    label="mlp_relu",
    source="Y App. A.3 with its activation, arXiv:2406.03768v2",
    statement="Dropping the ReLU of an MLP changes the query's update by at most 1 %.",
    printed="new",
    relation="at most",
    measure=relu_error,
    predict=lambda case: 0.01,
    explanation="Relative error of the query's update when the ReLU of a random MLP is dropped, as the paper does; the "
    "record holds the error of every case.",
    controls=(
        Control("no activation", {"measure": _linear_error}, Verdict.HOLDS),
        Control("error below 1e-6", {"predict": lambda case: 1e-6}),
    ),
)
