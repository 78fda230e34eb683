"""The weights of a linear-attention transformer."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory.core import checks

MATRICES = ("value", "key", "query", "mlp_in", "mlp_out")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AttentionWeights:
    """The weights of every layer, a pytree; a leading axis (one entry per seed) may stand before the layers.

    Layer t maps a token h to h + Σ_heads W_V H (W_K H)ᵀ W_Q h, the sum in H running over the demonstrations
    (Y Eq. 3, arXiv:2406.03768v2, has one head). With an MLP the update is W_out act(W_in · attention) instead
    (Y App. A.3).
    """

    value: Any
    """W_V, shape (layers, D, D), or (layers, heads, D, D)."""
    key: Any
    """W_K, shape as W_V."""
    query: Any
    """W_Q, shape as W_V."""
    mlp_in: Any = None
    """W_in, shape (layers, hidden, D), or None."""
    mlp_out: Any = None
    """W_out, shape (layers, D, hidden), or None."""
    heads: int | None = field(default=None, kw_only=True, metadata={"static": True})
    """Number of heads H; None for one head without an axis of its own."""

    @classmethod
    def create(cls, value: Any, key: Any, query: Any, mlp_in: Any = None, mlp_out: Any = None) -> "AttentionWeights":
        """Checked weights in float64: (D, D) is one layer, (L, D, D) layers, (L, H, D, D) layers of heads.

        Raises: ValueError for shapes that do not match, NaN, or only one matrix of an MLP.
        """
        cure = "stack the layers: value, key and query are each (layers, D, D), or (layers, heads, D, D)"
        value, key, query = (_stacked(name, a) for name, a in (("value", value), ("key", key), ("query", query)))
        heads = np.shape(value)[1] if np.ndim(value) == 4 else None
        value = checks.array("weights.value", value, (None,) * (3 if heads is None else 4), cure)
        layers, dimension = value.shape[0], value.shape[-1]
        square = (layers, dimension, dimension) if heads is None else (layers, heads, dimension, dimension)
        value = checks.array("weights.value", value, square, cure)
        key = checks.array("weights.key", key, square, cure)
        query = checks.array("weights.query", query, square, cure)
        if (mlp_in is None) != (mlp_out is None):
            raise checks.refuse("weights.mlp_in, mlp_out", "only one of the two", "both or none", "pass both")
        if mlp_in is not None:
            mlp_in = checks.array("weights.mlp_in", mlp_in, (layers, None, dimension))
            mlp_out = checks.array("weights.mlp_out", mlp_out, (layers, dimension, mlp_in.shape[1]))
        return cls(value, key, query, mlp_in, mlp_out, heads=heads)

    @property
    def layers(self) -> int:
        """L, the number of layers."""
        return self.value.shape[-3 if self.heads is None else -4]

    @property
    def dimension(self) -> int:
        """D, the token dimension."""
        return self.value.shape[-1]

    @property
    def seeds(self) -> int | None:
        """Number of ensemble members, or None for a single model."""
        single = 3 if self.heads is None else 4
        return self.value.shape[0] if np.ndim(self.value) > single else None

    def member(self, seed: int) -> "AttentionWeights":
        """One model out of an ensemble with a leading seeds axis."""
        if self.seeds is None:
            raise checks.refuse("weights", "a single model", "an ensemble (seeds, layers, D, D)", "use it directly")
        seed = checks.integer("seed", seed, 0, self.seeds - 1, "choose a member of the ensemble")
        return jax.tree.map(lambda a: np.asarray(a)[seed], self)

    def first_layers(self, count: int) -> "AttentionWeights":
        """The model that consists of the first `count` layers of a single model."""
        return jax.tree.map(lambda a: a[:count], self)

    def repeated(self, copies: int) -> "AttentionWeights":
        """The layers one after the other `copies` times: a model of tied layers, written out."""
        axis = -3 if self.heads is None else -4

        def tiled(name: str) -> Any:
            matrices = getattr(self, name)
            xp = np if isinstance(matrices, np.ndarray) else jnp
            return xp.concatenate([matrices] * copies, -3 if name.startswith("mlp") else axis)

        return self.replace(**{name: tiled(name) for name in MATRICES if getattr(self, name) is not None})

    def replace(self, **changes: Any) -> "AttentionWeights":
        """A copy with some matrices exchanged."""
        return replace(self, **changes)

    def with_heads(self) -> "AttentionWeights":
        """The same model with an explicit axis of heads, of length one if there was none."""
        if self.heads is not None:
            return self
        value, key, query = (m[..., None, :, :] for m in (self.value, self.key, self.query))
        return AttentionWeights(value, key, query, self.mlp_in, self.mlp_out, heads=1)

    def left_factor(self) -> Any:
        """W_out W_in W_V per layer: what multiplies ΔW from the left when the MLP is linear (Y App. A.3)."""
        if self.mlp_in is None:
            return self.value
        mlp = self.mlp_out @ self.mlp_in
        return (mlp if self.heads is None else mlp[..., None, :, :]) @ self.value

    def without_mlp(self) -> "AttentionWeights":
        """The model without an MLP that does the same as this one if its MLP is linear (Y App. A.3)."""
        return AttentionWeights(self.left_factor(), self.key, self.query, heads=self.heads)


def _stacked(name: str, matrices: Any) -> Any:
    """A single matrix as a stack of one layer."""
    try:
        return np.asarray(matrices)[None] if np.ndim(matrices) == 2 else matrices
    except ValueError:
        raise checks.refuse(
            f"weights.{name}", "lists of different lengths", "a full (layers, D, D) array", "fill the rows up"
        ) from None


def checked(weights: AttentionWeights, dimension: int | None = None) -> AttentionWeights:
    """Validated float64 weights of a single model whose token dimension is `dimension`."""
    if not isinstance(weights, AttentionWeights):
        raise checks.refuse("weights", type(weights).__name__, "an AttentionWeights", "use AttentionWeights.create")
    if np.ndim(weights.value) == (4 if weights.heads is None else 5):
        cure = "use weights.member(seed), or AttentionWeights.create if the second axis is heads"
        raise checks.refuse("weights", "an ensemble of seeds", "a single model", cure)
    result = AttentionWeights.create(*(getattr(weights, name) for name in MATRICES))
    if result.heads != weights.heads:
        got = f"heads={weights.heads} with matrices of {'no' if result.heads is None else result.heads} heads"
        raise checks.refuse("weights", got, "the number of heads that the matrices have", "use AttentionWeights.create")
    if dimension is not None and result.dimension != dimension:
        raise checks.refuse(
            "weights",
            f"token dimension {result.dimension}",
            f"token dimension {dimension}",
            "tokens are [x; y]: use weights of dimension d_x + d_y",
        )
    return result
