"""What is known of the optimum of a run before it starts, and how far its models are from it."""

import jax
import numpy as np

from icl_theory.core import checks
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.models.model import Model
from icl_theory.risk.one_layer import one_layer_risk, require_exact_risk
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import known
from icl_theory.training.config import CheckedConfig


def known_optimum(task: Task, config: CheckedConfig) -> float | None:
    """Exact risk of the best one-layer model where it is the optimum of this run, else None.

    Raises: ValueError if it is None and `stop_excess` is set.
    """
    optimum = None
    one_layer = config.layers == 1 and config.linear_in_moments
    exact = one_layer and known(require_exact_risk, task, "the optimum of the run") is not None
    if exact and task.knows_moments and np.linalg.matrix_rank(task.covariance) == task.dim and task.zero_risk > 0:
        optimum = one_layer_optimum(task, shots=config.shots)[1]
    if config.stop_excess is not None and not optimum:
        got = f"{config.stop_excess} for {config.layers} layer{'s' * (config.layers > 1)}"
        expected = (
            "a run whose optimum is known: one layer of linear attention on linear regression, inputs and label noise "
            "with a finite fourth moment, a covariance of full rank, labels that are not all zero"
        )
        raise checks.error("stop_excess", got, expected, "leave stop_excess out")
    return optimum or None


def excess_risk(models: Model, task: Task, config: CheckedConfig, optimum: float) -> np.ndarray:
    """Exact risk over the optimum, minus 1, shape (seeds,); +inf for a member that is not finite."""
    models = jax.tree.map(lambda a: np.asarray(a, dtype=np.float64), models)
    # A diverged member overflows here; it is reported as +inf.
    with np.errstate(over="ignore", invalid="ignore"):
        risks = [one_layer_risk(models.member(s), task, config.shots) for s in range(config.seeds)]
    excess = np.array(risks) / optimum - 1
    return np.where(np.isfinite(excess), excess, np.inf)  # a member that diverged is never near enough
