"""App. A.3: with the activation dropped an MLP multiplies the implicit update from the left."""

from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.mlp_updates import query_after_mlps, query_in_linear_form
from icl_theory.claims.quantities.submodels import without_mlp

CLAIM = Claim(
    source="Y App. A.3, arXiv:2406.03768v2",
    statement="With the activation dropped, $ΔW'' = W_out W_in ΔW$ in every layer.",
    origin="paper",
    relation="equal",
    measure=query_after_mlps,
    predict=query_in_linear_form,
    explanation="Forward pass through attention and a linear MLP against the folded weights. With ReLU "
    "it is an approximation: see mlp_relu.",
    controls=(
        Control("ReLU kept", measure=lambda case: query_after_mlps(case, "relu")),
        Control("MLP left out", predict=without_mlp),
    ),
)
