"""Every statement under test, one file each, on two shelves: the paper (Y: arXiv:2406.03768v2) and related results.

`LABELS` can be read without importing jax; `load` brings in one claim. Installed packages can add claims of their own,
see `icl_theory.claims.outside`; they follow ours, and nothing of them is imported before they are asked for.
"""

import difflib
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from icl_theory import _checks

if TYPE_CHECKING:
    from icl_theory.claims.base import Claim

PAPER = (
    "mask_matrix",
    "mask_softmax",
    "dual_form",
    "lemma_1",
    "update_rank",
    "order_invariance",
    "causal_order",
    "theorem_1_printed",
    "theorem_1",
    "sufficiency",
    "remark_2",
    "remark_3",
    "softmax_kernel",
    "softmax_rank",
    "mlp_linear",
    "mlp_relu",
    "noise_covariance",
    "gram_spectrum",
    "noise_shots",
    "noise_training",
    "noise_gaussianity",
    "noise_kurtosis",
    "footnote_5",
    "positive_definiteness",
    "support_dimension",
    "few_demonstrations",
    "fresh_noise",
    "lemma_2",
    "lemma_3",
    "learning_rate",
    "lemma_3_growth",
    "lemma_4",
    "lemma_5",
    "gaussian_divergence",
    "lemma_6",
    "lemma_6_second_line",
    "optimal_variance",
    "product_of_norms",
    "theorem_2_printed",
    "theorem_2_scalar",
    "theorem_2_repaired",
    "ladder_order",
    "mean_inequality",
    "mean_inequality_condition",
    "remark_4_printed",
    "scale_invariance",
    "remark_4_floor",
    "noise_trace_truncation",
    "noise_trace_key",
    "noise_trace_norm",
    "noise_trace_bound",
    "example_split",
    "footnote_6",
    "upper_bound_printed",
    "upper_bound_repaired",
    "upper_bound_truncation",
    "truncation_norm_value",
    "truncation_norm_query",
    "truncation_norm_key",
    "truncation_norm_mlp",
    "truncation_norm_later",
    "span_of_change",
    "remark_5_norm",
    "remark_5_steadiness",
    "magnitude_pruning",
    "remark_6_shots",
    "remark_6_sensitivity",
    "case_1",
    "case_1_eigenvalues",
    "condition_number",
    "condition_number_by_layer",
    "condition_number_by_module",
    "single_module",
    "single_module_depth",
    "optimal_rate_varies",
    "rate_transfer",
    "dropped_layer_printed",
    "dropped_layer",
    "dropped_first_layer",
    "algorithm_1",
    "clipping_enhances",
    "clipping_harmless",
    "deep_layers_tolerate",
    "more_shots_help",
    "shots_and_collapse",
    "truncation_information",
    "truncation_isotropic",
    "truncation_trap",
    "whitened_truncation",
    "optimum_truncation",
    "universality",
    "large_sample",
    "path_depth",
    "shared_subsets",
    "readout_sign",
    "readout_trained",
)
"""The paper's statements in its order, each with its repairs and with what is new about it."""
RELATED = (
    "gradient_descent_construction",
    "gd_plus_plus_construction",
    "one_layer_optimum",
    "wishart_moment",
    "exact_risk",
    "trained_to_optimum",
    "trained_descends",
    "trained_gd_plus_plus",
    "least_squares",
    "softmax_random_features",
    "individual_sample",
    "sandwich_ends",
    "supersample_guarantee",
)
"""Results of others that the paper, or an answer to it, stands on."""
LABELS = (*PAPER, *RELATED)


def all_labels() -> tuple[str, ...]:
    """Labels of this package's claims and of those that installed packages add, in this order.

    Raises: ValueError if an installed package's claims cannot be used.
    """
    from icl_theory.claims import outside

    return (*LABELS, *outside.claims())


def package_of(label: str) -> str | None:
    """Name and version of the installed package that adds the claim; None for one of our own."""
    if label in LABELS:
        return None
    from icl_theory.claims import outside

    found = outside.claims().get(label)
    return None if found is None else found.package


def shelf_of(label: str) -> str:
    """Where a claim stands: "paper", "related", or "outside" for one of another package."""
    return "paper" if label in PAPER else "related" if label in RELATED else "outside"


def require_known(labels: Iterable[str]) -> None:
    """Raises: ValueError for an unknown label, naming the closest one.

    Claims of other packages are looked for only if a label is not one of our own.
    """
    for label in labels:
        if label not in LABELS and label not in (known := all_labels()):
            near = difflib.get_close_matches(label, known, 1, 0.3)
            cure = f"did you mean {near[0]!r}" if near else "run `icl-theory explain` for the list"
            raise _checks.refuse("claims", repr(label), "the label of a claim", cure)


def load(label: str) -> "Claim":
    """The claim of that name. Raises: ValueError for an unknown label, naming the closest one."""
    require_known([label])
    if label in LABELS:
        return importlib.import_module(f"icl_theory.claims.{label}").CLAIM
    from icl_theory.claims import outside

    return outside.claims()[label].claim


def load_all(labels: Iterable[str] | None = None) -> list["Claim"]:
    """The claims asked for, or all of them: ours shelf by shelf, then those of installed packages."""
    chosen = all_labels() if labels is None else tuple(labels)
    if not chosen:
        raise _checks.refuse("claims", "an empty list", "at least one claim", "leave it out to check all")
    claims = {label: load(label) for label in chosen}
    ours = [label for label in LABELS if label in claims]
    others = [] if len(ours) == len(claims) else [label for label in all_labels()[len(LABELS) :] if label in claims]
    return [claims[label] for label in (*ours, *others)]
