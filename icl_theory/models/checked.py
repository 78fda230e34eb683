"""Models as functions get them: a single one, validated, of a kind that the theory covers."""

from typing import get_args

import numpy as np

from icl_theory.core import checks
from icl_theory.models.model import MATRICES, Model
from icl_theory.models.options import OPTIONS


def checked(model: Model, token_dim: int | None = None) -> Model:
    """A single model, validated, in float64, whose token dimension is `token_dim`."""
    if not isinstance(model, Model):
        raise checks.error("model", f"a {type(model).__name__}", "a Model", _hint(model))
    if np.ndim(model.value) == (4 if model.heads is None else 5):
        hint = "use model.member(seed), or say heads=H in Model.create if the second axis is heads"
        raise checks.error("model", "an ensemble of seeds", "a single model", hint)
    matrices = {name: getattr(model, name) for name in MATRICES}
    result = Model.create(**matrices, heads=model.heads, precision=model.precision, ranks=model.ranks, **model.options)
    if token_dim is not None and result.token_dim != token_dim:
        got, expected = f"token dimension {result.token_dim}", f"token dimension {token_dim}"
        raise checks.error("model", got, expected, "tokens are [x; y]: use a model of dimension d_x + d_y")
    return result


def _hint(model: object) -> str:
    if hasattr(model, "models"):
        return "pass result.models.member(seed), one model of the ensemble"
    return "use Model.create(value, key, query)"


def checked_linear(model: Model, token_dim: int | None, what: str, *, sums: bool = False) -> Model:
    """As `checked`, for theory that knows linear attention over all demonstrations only, and a linear MLP.

    Raises: ValueError for any other model, with the reason; for normalization "sum" too unless `sums`.
    """
    result = checked(model, token_dim)
    require_linear(result, what)
    if result.normalization == "sum" and not sums:
        hint = "use model.with_mean(N), which does the same for N demonstrations"
        raise checks.error(f"model for {what}", "normalization='sum'", "normalization='mean'", hint)
    return result


def require_linear(model: Model, what: str) -> None:
    """What `checked_linear` reads off the static fields. Raises: ValueError for a model that is not linear in S."""
    if not model.linear_in_moments:
        got = ", ".join(f"{name}={option!r}" for name, option in model.options.items() if _beyond(model, name))
        hint = "supersample_bounds, population_risk and accuracy take any model"
        raise checks.error(f"model for {what}", got, "linear attention over all demonstrations, no ReLU", hint)


def _beyond(model: Model, name: str) -> bool:
    if name == "activation":
        return model.mlp_in is not None and model.activation == "relu"
    return name in ("kind", "mask") and getattr(model, name) != get_args(OPTIONS[name])[0]
