"""The settings of a training run, for `train` and the command line alike. Importing this file is quick."""

from dataclasses import dataclass
from typing import Literal

from icl_theory.core.field_docs import fields_in_help
from icl_theory.models.options import ModelConfig

Sampling = Literal["auto", "moments", "tokens"]


@fields_in_help
@dataclass(frozen=True, kw_only=True)
class TrainConfig(ModelConfig):
    """What determines a training run, besides the task and the key; every field is a plain number or string.

    Example:
        >>> from dataclasses import asdict
        >>> from icl_theory import LinearRegression, TrainConfig, train
        >>> config = TrainConfig(layers=2, shots=5, steps=3, seeds=2, batch=4)
        >>> train(LinearRegression(2), 0, **asdict(config)).losses.shape
        (2, 3)
    """

    shots: int = 20
    """N, the demonstrations of a training prompt."""
    steps: int | None = None
    """Optimiser steps; None: 1000 for up to four layers, 2000 for more."""
    seeds: int = 8
    """Models of the ensemble, each with its own initial weights and its own data."""
    batch: int = 64
    """Prompts per step and model."""
    learning_rate: float | None = None
    """Adam's step size at the start, falling to 0 along half a cosine; None: 0.02 for up to four layers, 0.01 for
    more."""
    init_scale: float = 0.2
    """Size a of the initial weights: W_K = W_Q = a O with O random orthogonal, and W_V of the same size."""
    clip_norm: float = 1.0
    """The gradient of one model is scaled down to this Euclidean norm, or to sixteen times its recent norm."""
    stop_excess: float | None = None
    """Stop once the exact risk of every model is within this share of the optimum (0.01: 1 %); one layer only. None:
    run all steps."""
    sampling: Sampling = "auto"
    """Draw the second moments S with the query integrated out (moments), or whole prompts (tokens); auto: moments
    where the model and the task allow it."""
    tasks: int | None = None
    """Tasks of a finite pre-training set, one set per model; None: an unlimited supply of fresh tasks."""
    prompts_per_task: int = 1
    """Prompts of every task of a finite pre-training set, each with a query of its own."""


@dataclass(frozen=True, kw_only=True)
class CheckedConfig(TrainConfig):
    """Settings whose values are in range and whose schedule is written out (`checked_config` makes them)."""

    steps: int  # pyright: ignore[reportGeneralTypeIssues]  # without a default on purpose
    learning_rate: float  # pyright: ignore[reportGeneralTypeIssues]
