"""The weights of a linear-attention transformer and the maps of one layer."""

from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory import _checks
from icl_theory._numerics import float64, transpose
from icl_theory.tasks import Prompt

KINDS = ("linear", "softmax")
MASKS = ("demonstrations", "causal")
NORMALIZATIONS = ("mean", "sum")
ACTIVATIONS = ("identity", "relu")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AttentionWeights:
    """The weights of every layer, a pytree; a leading axis (one entry per seed) may stand before the layers.

    Layer t maps a token h to h + W_V H (W_K H)ᵀ W_Q h, the sum running over the demonstrations H
    (Y Eq. 3, arXiv:2406.03768v2). With an MLP the update is W_out act(W_in · attention) instead (Y App. A.3).
    """

    value: Any
    """W_V, shape (layers, D, D)."""
    key: Any
    """W_K, shape (layers, D, D)."""
    query: Any
    """W_Q, shape (layers, D, D)."""
    mlp_in: Any = None
    """W_in, shape (layers, hidden, D), or None."""
    mlp_out: Any = None
    """W_out, shape (layers, D, hidden), or None."""

    @classmethod
    def create(cls, value: Any, key: Any, query: Any, mlp_in: Any = None, mlp_out: Any = None) -> "AttentionWeights":
        """Checked weights in float64; a single (D, D) matrix stands for one layer. Raises ValueError."""
        cure = "stack the layers: value, key and query are each (layers, D, D)"
        value, key, query = (_stacked(name, a) for name, a in (("value", value), ("key", key), ("query", query)))
        value = _checks.array("weights.value", value, (None, None, None), cure)
        layers, dimension = value.shape[0], value.shape[2]
        square = (layers, dimension, dimension)
        value = _checks.array("weights.value", value, square, cure)
        key = _checks.array("weights.key", key, square, cure)
        query = _checks.array("weights.query", query, square, cure)
        if (mlp_in is None) != (mlp_out is None):
            raise _checks.refuse("weights.mlp_in, mlp_out", "only one of the two", "both or none", "pass both")
        if mlp_in is not None:
            mlp_in = _checks.array("weights.mlp_in", mlp_in, (layers, None, dimension))
            mlp_out = _checks.array("weights.mlp_out", mlp_out, (layers, dimension, mlp_in.shape[1]))
        return cls(value, key, query, mlp_in, mlp_out)

    @property
    def layers(self) -> int:
        """L, the number of layers."""
        return self.value.shape[-3]

    @property
    def dimension(self) -> int:
        """D, the token dimension."""
        return self.value.shape[-1]

    @property
    def seeds(self) -> int | None:
        """Number of ensemble members, or None for a single model."""
        return self.value.shape[0] if self.value.ndim == 4 else None

    def member(self, seed: int) -> "AttentionWeights":
        """One model out of an ensemble with a leading seeds axis."""
        if self.seeds is None:
            raise _checks.refuse("weights", "a single model", "an ensemble (seeds, layers, D, D)", "use it directly")
        seed = _checks.integer("seed", seed, 0, self.seeds - 1, "choose a member of the ensemble")
        return jax.tree.map(lambda a: np.asarray(a)[seed], self)

    def replace(self, **changes: Any) -> "AttentionWeights":
        """A copy with some matrices exchanged."""
        return replace(self, **changes)

    def left_factor(self) -> Any:
        """W_out W_in W_V per layer: what multiplies ΔW from the left when the MLP is linear (Y App. A.3)."""
        if self.mlp_in is None:
            return self.value
        return self.mlp_out @ self.mlp_in @ self.value


def _stacked(name: str, matrices: Any) -> Any:
    """A single matrix as a stack of one layer."""
    try:
        return np.asarray(matrices)[None] if np.ndim(matrices) == 2 else matrices
    except ValueError:
        raise _checks.refuse(
            f"weights.{name}", "lists of different lengths", "a full (layers, D, D) array", "fill the rows up"
        ) from None


def checked(weights: AttentionWeights, dimension: int | None = None) -> AttentionWeights:
    """Validated float64 weights of a single model whose token dimension is `dimension`."""
    if not isinstance(weights, AttentionWeights):
        raise _checks.refuse("weights", type(weights).__name__, "an AttentionWeights", "use AttentionWeights.create")
    if np.ndim(weights.value) == 4:
        raise _checks.refuse("weights", "an ensemble of seeds", "a single model", "use weights.member(seed)")
    result = AttentionWeights.create(*(getattr(weights, f.name) for f in fields(weights)))
    if dimension is not None and result.dimension != dimension:
        raise _checks.refuse(
            "weights",
            f"token dimension {result.dimension}",
            f"token dimension {dimension}",
            "tokens are [x; y]: use weights of dimension d_x + 1",
        )
    return result


def layer_update(value: Any, key: Any, query: Any, moment: Any) -> Any:
    """ΔW = W_V S W_Kᵀ W_Q, shape (D, D), from the second moment S of the layer's own tokens (Y Lemma 1)."""
    return value @ moment @ transpose(key) @ query


def second_moment(tokens: Any, normalization: str = "mean") -> Any:
    """S = (1/N) Σ h_i h_iᵀ for tokens (..., N, D); normalization "sum" drops the 1/N (Y Section 3.2)."""
    total = transpose(tokens) @ tokens
    return total / tokens.shape[-2] if normalization == "mean" else total


def _linear_update(layer: AttentionWeights, tokens: Any, query: Any, mask: str, scale: float) -> tuple:
    """Attention output of every demonstration and of the query, token by token: the definition, no shortcut."""
    values, keys = tokens @ layer.value.T, tokens @ layer.key.T
    scores = (tokens @ layer.query.T) @ keys.T * scale
    if mask == "causal":
        scores = jnp.tril(scores)
    return scores @ values, (layer.query @ query) @ keys.T * scale @ values


def _softmax_update(layer: AttentionWeights, tokens: Any, query: Any, mask: str, scale: float) -> tuple:
    """The normaliser runs over demonstrations and query, although the query's value is masked (Y App. A.2)."""
    del scale  # the softmax normalises itself
    everything = jnp.concatenate([tokens, query[None]])
    keys, count = everything @ layer.key.T, tokens.shape[0]
    scores = (everything @ layer.query.T) @ keys.T
    if mask == "causal":
        scores = jnp.where(jnp.tril(jnp.ones_like(scores, dtype=bool)), scores, -jnp.inf)
    weights = jax.nn.softmax(scores, axis=-1)[:, :count]
    update = weights @ (tokens @ layer.value.T)
    return update[:count], update[count]


def forward_tokens(
    weights: AttentionWeights,
    tokens: Any,
    query: Any,
    kind: str,
    mask: str,
    normalization: str,
    activation: str,
) -> tuple:
    """All layers applied to demonstrations (N, D) and query (D,); jax arrays in and out, for use inside jit."""
    scale = 1.0 / tokens.shape[0] if normalization == "mean" else 1.0
    attend = _linear_update if kind == "linear" else _softmax_update

    def layer_step(carry: tuple, layer: AttentionWeights) -> tuple:
        tokens, query = carry
        updates = attend(layer, tokens, query, mask, scale)
        if layer.mlp_in is not None:
            act = jax.nn.relu if activation == "relu" else (lambda z: z)
            updates = tuple(act(u @ layer.mlp_in.T) @ layer.mlp_out.T for u in updates)
        return (tokens + updates[0], query + updates[1]), None

    return jax.lax.scan(layer_step, (tokens, query), weights)[0]


_forward = jax.jit(forward_tokens, static_argnums=(3, 4, 5, 6))
_forward_batch = jax.jit(
    lambda w, t, q, *options: jax.vmap(lambda t, q: forward_tokens(w, t, q, *options)[1])(t, q),
    static_argnums=(3, 4, 5, 6),
)


def _options(kind: str, mask: str, normalization: str, activation: str) -> tuple[str, str, str, str]:
    return (
        _checks.choice("kind", kind, KINDS),
        _checks.choice("mask", mask, MASKS),
        _checks.choice("normalization", normalization, NORMALIZATIONS),
        _checks.choice("activation", activation, ACTIVATIONS),
    )


@float64
def forward(
    weights: AttentionWeights,
    demonstrations: Any,
    query: Any,
    *,
    kind: str = "linear",
    mask: str = "demonstrations",
    normalization: str = "mean",
    activation: str = "identity",
) -> Any:
    """The query token after all layers: h ← h + W_V H (W_K H)ᵀ W_Q h in every layer, for every token.

    Args:
        weights: value, key, query, each (L, D, D).
        demonstrations: the N tokens h_i = [x_i; y_i], shape (N, D).
        query: h_q = [x_q; 0], shape (D,).
        kind: "linear", or "softmax" (its normaliser includes the query, whose value is masked).
        mask: "demonstrations" (every token sees all demonstrations) or "causal" (a demonstration sees only
            itself and earlier ones; the query sees all).
        normalization: "mean" divides the sum over demonstrations by N (Y Section 3.3), "sum" does not
            (Y Section 3.2); without effect for softmax.
        activation: of the MLP if there is one, "identity" or "relu".

    Returns: the query token, shape (D,), float64.
    Raises: ValueError for a wrong shape, NaN or an unknown option.
    Source: Y Eq. 3, App. A.2 and A.3, arXiv:2406.03768v2.
    """
    tokens = _checks.array("demonstrations", demonstrations, (None, None), "pass one token per row")
    query = _checks.array("query", query, (tokens.shape[1],), "pass one token of the same dimension")
    weights = checked(weights, tokens.shape[1])
    return _forward(weights, tokens, query, *_options(kind, mask, normalization, activation))[1]


@float64
def predict(
    weights: AttentionWeights,
    prompt: Prompt,
    *,
    kind: str = "linear",
    mask: str = "demonstrations",
    normalization: str = "mean",
    readout: str = "minus",
    activation: str = "identity",
) -> Any:
    """ŷ = ∓ (label slot of the query after all layers), shape (batch,).

    Args:
        weights: value, key, query, each (L, D, D).
        prompt: a `Prompt`; its `tokens()` is (batch, N, D), its `x_query` (batch, d_x).
        readout: "minus" (the default: then L layers can be L steps of gradient descent, von Oswald et al. 2023)
            or "plus" (as in Y); at L = 1 the two are equivalent up to the sign of W_V.
        kind, mask, normalization, activation: as in `forward`.

    Returns: predictions, shape (batch,), float64.
    Raises: ValueError for a wrong shape, NaN or an unknown option.
    Source: Y Section 3.1 (plus), von Oswald et al. 2023 Prop. 1 (minus).
    """
    _checks.choice("readout", readout, ("minus", "plus"))
    if not isinstance(prompt, Prompt):
        raise _checks.refuse("prompt", type(prompt).__name__, "a Prompt", "use task.sample or Prompt(x, y, ...)")
    tokens = _checks.array("prompt.tokens()", prompt.tokens(), (None, None, None))
    width = tokens.shape[2]
    x_query = _checks.array("prompt.x_query", prompt.x_query, (tokens.shape[0], width - 1))
    queries = np.concatenate([x_query, np.zeros((len(x_query), 1))], axis=1)
    weights = checked(weights, width)
    label = _forward_batch(weights, tokens, queries, *_options(kind, mask, normalization, activation))[:, -1]
    return -label if readout == "minus" else label
