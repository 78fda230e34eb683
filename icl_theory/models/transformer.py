"""The transformer as a flax module, for training loops and optimisers of one's own."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from icl_theory.models.attention import predict_batch
from icl_theory.models.checked import checked
from icl_theory.models.model import Model


class InContextTransformer(nnx.Module):
    """ŷ = ∓ (label slots of the query after all layers); its parameters are the matrices of a `Model`.

    The module computes in the dtype of its parameters and of the prompt (`predict` is the float64 twin). Use it with an
    optimiser and a loop of your own (`nnx.Optimizer`); `icl_theory.train` trains the same models, many at once.

    Args:
        model: a single model with the initial matrices; attention kind, mask, readout and so on are taken from it.
        tied: all layers share one set of parameters, those of the first layer of `model`.

    Raises: ValueError for what is not a single model of consistent shapes and known options.

    Example:
        >>> from icl_theory import InContextTransformer, LinearRegression, gradient_descent_weights
        >>> prompt = LinearRegression(2).sample(0, batch=3, shots=5)
        >>> module = InContextTransformer(gradient_descent_weights(2, layers=2))
        >>> module(prompt.x, prompt.y, prompt.x_query).shape
        (3,)
    """

    def __init__(self, model: Model, *, tied: bool = False) -> None:
        checked(model)  # raises; the parameters keep the dtype that they come in
        own = model.first_layers(1) if tied else model
        self.value, self.key, self.query = (nnx.Param(jnp.asarray(m)) for m in (own.value, own.key, own.query))
        self.mlp_in = None if own.mlp_in is None else nnx.Param(jnp.asarray(own.mlp_in))
        self.mlp_out = None if own.mlp_out is None else nnx.Param(jnp.asarray(own.mlp_out))
        self.heads, self.copies = model.heads, model.layers if tied else 1
        self.options = tuple(model.options.items())

    @property
    def model(self) -> Model:
        """The present parameters as a `Model`, for the theory functions; tied layers are written out."""
        mlp_in, mlp_out = (None if m is None else m[...] for m in (self.mlp_in, self.mlp_out))
        matrices = self.value[...], self.key[...], self.query[...], mlp_in, mlp_out
        own = Model(*matrices, heads=self.heads, **dict(self.options))
        return own.repeated(self.copies)

    def __call__(self, x: Any, y: Any, x_query: Any) -> jax.Array:
        """Predictions (batch,) from x (batch, N, d_x), y (batch, N), x_query (batch, d_x); y (batch, N, d_y) alike."""
        return predict_batch(self.model, x, y, x_query)
