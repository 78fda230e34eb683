"""The verdicts that every run of all claims is held against."""

from icl_theory.claims import LABELS
from icl_theory.claims.base import Verdict

# What this project has found so far; a change of any of these is news and belongs into the changelog.
FOUND = dict.fromkeys(LABELS, Verdict.HOLDS) | {
    "theorem_1_printed": Verdict.FAILS,
    "noise_gaussianity": Verdict.FAILS,
    "theorem_2_printed": Verdict.VACUOUS,
    "theorem_2_scalar": Verdict.FAILS,
    "remark_4_printed": Verdict.FAILS,
    "upper_bound_printed": Verdict.FAILS,
    "truncation_norm_key": Verdict.FAILS,
    "mlp_relu": Verdict.FAILS,
    "truncation_trap": Verdict.FAILS,
    "magnitude_pruning": Verdict.FAILS,
    "readout_sign": Verdict.FAILS,
    "causal_order": Verdict.FAILS,
    "remark_3": Verdict.FAILS,
    "noise_training": Verdict.FAILS,
    "condition_number_by_layer": Verdict.FAILS,
    "remark_5_steadiness": Verdict.FAILS,
    "algorithm_1": Verdict.FAILS,
    "shots_and_collapse": Verdict.FAILS,
    "fresh_noise": Verdict.FAILS,
    "lemma_3_growth": Verdict.FAILS,
    "truncation_isotropic": Verdict.FAILS,
    "mask_softmax": Verdict.FAILS,
    "lemma_6_second_line": Verdict.FAILS,
    "noise_trace_key": Verdict.FAILS,
    "noise_trace_norm": Verdict.FAILS,
    "case_1_eigenvalues": Verdict.FAILS,
    "dropped_layer_printed": Verdict.FAILS,
    "dropped_first_layer": Verdict.FAILS,
    "truncation_norm_later": Verdict.FAILS,
}
