"""The transformer as a flax module, for training loops and optimisers of one's own."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from icl_theory import _checks
from icl_theory.attention import ACTIVATIONS, KINDS, MASKS, NORMALIZATIONS, AttentionWeights, forward_tokens


class InContextTransformer(nnx.Module):
    """ŷ = ∓ (label slot of the query after all layers); its parameters are the matrices of an `AttentionWeights`.

    The module computes in the dtype of its weights and of the prompt (`predict` is the float64 twin). For
    `icl_theory.train`, which needs the second moment only, no module is needed; use this one for softmax, causal
    masks, MLPs, or an optimiser of your own with `nnx.Optimizer`.

    Args:
        weights: initial value, key, query, each (L, D, D); mlp_in, mlp_out optional.
        kind, mask, normalization, activation, readout: as in `forward` and `predict`.

    Raises: ValueError for an unknown option.
    """

    def __init__(
        self,
        weights: AttentionWeights,
        *,
        kind: str = "linear",
        mask: str = "demonstrations",
        normalization: str = "mean",
        activation: str = "identity",
        readout: str = "minus",
    ) -> None:
        self.value, self.key, self.query = (
            nnx.Param(jnp.asarray(m)) for m in (weights.value, weights.key, weights.query)
        )
        self.mlp_in = None if weights.mlp_in is None else nnx.Param(jnp.asarray(weights.mlp_in))
        self.mlp_out = None if weights.mlp_out is None else nnx.Param(jnp.asarray(weights.mlp_out))
        self.kind = _checks.choice("kind", kind, KINDS)
        self.mask = _checks.choice("mask", mask, MASKS)
        self.normalization = _checks.choice("normalization", normalization, NORMALIZATIONS)
        self.activation = _checks.choice("activation", activation, ACTIVATIONS)
        self.readout = _checks.choice("readout", readout, ("minus", "plus"))

    @property
    def weights(self) -> AttentionWeights:
        """The present weights, for the theory functions."""
        mlp = (None if m is None else m[...] for m in (self.mlp_in, self.mlp_out))
        return AttentionWeights(self.value[...], self.key[...], self.query[...], *mlp)

    def __call__(self, x: Any, y: Any, x_query: Any) -> jax.Array:
        """Predictions (batch,) from x (batch, N, d_x), y (batch, N), x_query (batch, d_x)."""
        tokens = jnp.concatenate([x, jnp.asarray(y)[..., None]], axis=-1)
        queries = jnp.concatenate([x_query, jnp.zeros((*jnp.shape(x_query)[:-1], 1), tokens.dtype)], axis=-1)
        options = self.kind, self.mask, self.normalization, self.activation
        weights = self.weights
        label = jax.vmap(lambda t, q: forward_tokens(weights, t, q, *options)[1][-1])(tokens, queries)
        return -label if self.readout == "minus" else label
