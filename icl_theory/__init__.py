"""Checks the theory of in-context learning numerically and symbolically.

This file is the table of contents: every public name and the module it lives in. Names are loaded on first
use, so that `icl-theory --help` stays fast and importing the package changes no setting of jax.
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "LinearRegression": "tasks",
    "Prompt": "task_base",
    "Task": "task_base",
    "LinearClassification": "teachers",
    "ReLUTeacher": "teachers",
    "SparseLinearRegression": "teachers",
    "OneHotClassification": "vector_tasks",
    "VectorRegression": "vector_tasks",
    "bayes_risk": "baselines",
    "least_squares_predict": "baselines",
    "least_squares_risk": "baselines",
    "ridge_predict": "baselines",
    "ridge_risk": "baselines",
    "AttentionWeights": "weights",
    "forward": "attention",
    "predict": "attention",
    "InContextTransformer": "transformer",
    "gradient_descent_weights": "constructions",
    "one_layer_optimum": "constructions",
    "random_weights": "constructions",
    "Trajectory": "trajectory",
    "gradient_descent": "trajectory",
    "implicit_trajectory": "trajectory",
    "Checkpoints": "checkpoint",
    "TrainResult": "training",
    "gradient_descent_agreement": "agreement",
    "accuracy": "risk",
    "population_risk": "risk",
    "train": "training",
    "NoiseCovariance": "noise",
    "gradient_noise": "noise",
    "support_dimension": "support",
    "NormalityRecord": "normality",
    "normality_audit": "normality",
    "TruncationNoise": "noise_curve",
    "truncation_noise": "noise_curve",
    "Estimate": "estimate",
    "Sandwich": "information.sandwich",
    "mutual_information": "information.sandwich",
    "ksg_mutual_information": "information.ksg",
    "CalibrationRecord": "information.calibration",
    "calibration_table": "information.calibration",
    "SupersampleBounds": "information.supersample",
    "supersample_bounds": "information.supersample",
    "BoundLadder": "information.ladder",
    "bound_ladder": "information.ladder",
    "SharedSubsets": "subsets",
    "shared_subsets": "subsets",
    "Truncation": "truncation",
    "condition_number": "truncation",
    "TruncationCurves": "truncation",
    "truncate": "truncation",
    "truncation_curves": "truncation",
    "truncate_weights": "truncation",
    "rank_sweep": "sweep",
    "ClippingSearch": "search",
    "LayerSearch": "search",
    "search_clipping_rate": "search",
    "Claim": "claims.base",
    "check": "claims.base",
    "Report": "claims.run",
    "verify": "claims.run",
}

__all__ = sorted(_HOME)
__version__ = "0.1.0"

if TYPE_CHECKING:
    from icl_theory.agreement import gradient_descent_agreement
    from icl_theory.attention import forward, predict
    from icl_theory.baselines import (
        bayes_risk,
        least_squares_predict,
        least_squares_risk,
        ridge_predict,
        ridge_risk,
    )
    from icl_theory.checkpoint import Checkpoints
    from icl_theory.claims.base import Claim, check
    from icl_theory.claims.run import Report, verify
    from icl_theory.constructions import gradient_descent_weights, one_layer_optimum, random_weights
    from icl_theory.estimate import Estimate
    from icl_theory.information.calibration import CalibrationRecord, calibration_table
    from icl_theory.information.ksg import ksg_mutual_information
    from icl_theory.information.ladder import BoundLadder, bound_ladder
    from icl_theory.information.sandwich import Sandwich, mutual_information
    from icl_theory.information.supersample import SupersampleBounds, supersample_bounds
    from icl_theory.noise import NoiseCovariance, gradient_noise
    from icl_theory.noise_curve import TruncationNoise, truncation_noise
    from icl_theory.normality import NormalityRecord, normality_audit
    from icl_theory.risk import accuracy, population_risk
    from icl_theory.search import ClippingSearch, LayerSearch, search_clipping_rate
    from icl_theory.subsets import SharedSubsets, shared_subsets
    from icl_theory.support import support_dimension
    from icl_theory.sweep import rank_sweep
    from icl_theory.task_base import Prompt, Task
    from icl_theory.tasks import LinearRegression
    from icl_theory.teachers import LinearClassification, ReLUTeacher, SparseLinearRegression
    from icl_theory.training import TrainResult, train
    from icl_theory.trajectory import Trajectory, gradient_descent, implicit_trajectory
    from icl_theory.transformer import InContextTransformer
    from icl_theory.truncation import (
        Truncation,
        TruncationCurves,
        condition_number,
        truncate,
        truncate_weights,
        truncation_curves,
    )
    from icl_theory.vector_tasks import OneHotClassification, VectorRegression
    from icl_theory.weights import AttentionWeights


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'icl_theory' has no attribute {name!r}")
    return getattr(importlib.import_module(f"icl_theory.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
