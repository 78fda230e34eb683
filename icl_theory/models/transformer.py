"""The transformer as a flax module, for training loops and optimisers of one's own."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from icl_theory.core import checks
from icl_theory.models.attention import ACTIVATIONS, KINDS, MASKS, NORMALIZATIONS, predict_batch
from icl_theory.models.weights import AttentionWeights


class InContextTransformer(nnx.Module):
    """ŷ = ∓ (label slots of the query after all layers); its parameters are the matrices of an `AttentionWeights`.

    The module computes in the dtype of its weights and of the prompt (`predict` is the float64 twin). Use it with an
    optimiser and a loop of your own (`nnx.Optimizer`); `icl_theory.train` trains the same models, many at once.

    Args:
        weights: initial value, key, query, each (L, D, D), or (L, heads, D, D); mlp_in, mlp_out optional.
        tied: all layers share one set of parameters, those of the first layer of `weights`.
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
        tied: bool = False,
    ) -> None:
        own = weights.first_layers(1) if tied else weights
        self.value, self.key, self.query = (nnx.Param(jnp.asarray(m)) for m in (own.value, own.key, own.query))
        self.mlp_in = None if own.mlp_in is None else nnx.Param(jnp.asarray(own.mlp_in))
        self.mlp_out = None if own.mlp_out is None else nnx.Param(jnp.asarray(own.mlp_out))
        self.heads, self.copies = weights.heads, weights.layers if tied else 1
        self.kind = checks.choice("kind", kind, KINDS)
        self.mask = checks.choice("mask", mask, MASKS)
        self.normalization = checks.choice("normalization", normalization, NORMALIZATIONS)
        self.activation = checks.choice("activation", activation, ACTIVATIONS)
        self.readout = checks.choice("readout", readout, ("minus", "plus"))

    @property
    def weights(self) -> AttentionWeights:
        """The present weights, for the theory functions."""
        mlp_in, mlp_out = (None if m is None else m[...] for m in (self.mlp_in, self.mlp_out))
        own = AttentionWeights(self.value[...], self.key[...], self.query[...], mlp_in, mlp_out, heads=self.heads)
        return own.repeated(self.copies)

    def __call__(self, x: Any, y: Any, x_query: Any) -> jax.Array:
        """Predictions (batch,) from x (batch, N, d_x), y (batch, N), x_query (batch, d_x); y (batch, N, d_y) alike."""
        return predict_batch(
            self.weights, x, y, x_query, (self.kind, self.mask, self.normalization, self.activation), self.readout
        )
