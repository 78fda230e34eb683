"""The maps of one attention layer, and the forward pass."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import float64, transpose
from icl_theory.models.weights import AttentionWeights, checked
from icl_theory.tasks.linear_regression import Prompt

KINDS = ("linear", "softmax")
MASKS = ("demonstrations", "causal")
NORMALIZATIONS = ("mean", "sum")
ACTIVATIONS = ("identity", "relu")


def layer_update(value: Any, key: Any, query: Any, moment: Any) -> Any:
    """ΔW = Σ_heads W_V S W_Kᵀ W_Q, shape (D, D), from the second moment S of the layer's own tokens (Y Lemma 1).

    The matrices are (D, D), or (heads, D, D).
    """
    update = value @ moment @ transpose(key) @ query
    return update if np.ndim(value) == 2 else update.sum(-3)


def second_moment(tokens: Any, normalization: str = "mean") -> Any:
    """S = (1/N) Σ h_i h_iᵀ for tokens (..., N, D); normalization "sum" drops the 1/N (Y Section 3.2)."""
    total = transpose(tokens) @ tokens
    return total / tokens.shape[-2] if normalization == "mean" else total


Head = tuple[Any, Any, Any]  # W_V, W_K, W_Q of one head of one layer


def _linear_update(head: Head, tokens: Any, query: Any, mask: str, scale: float) -> tuple:
    """Attention output of every demonstration and of the query, token by token: the definition, no shortcut."""
    w_v, w_k, w_q = head
    values, keys = tokens @ w_v.T, tokens @ w_k.T
    scores = (tokens @ w_q.T) @ keys.T * scale
    if mask == "causal":
        scores = jnp.tril(scores)
    return scores @ values, (w_q @ query) @ keys.T * scale @ values


def _softmax_update(head: Head, tokens: Any, query: Any, mask: str, scale: float) -> tuple:
    """The normaliser runs over demonstrations and query, although the query's value is masked (Y App. A.2).

    With Z = Σ_j exp(s_j) over the demonstrations and s_q the score of the query, a token reads
    σ(log Z - s_q) Σ_j exp(s_j) W_V h_j / Z: the query enters through a factor, which leaves the rest to be shared by
    many queries (see `information.supersample.predictions`).
    """
    del scale  # the softmax normalises itself
    w_v, w_k, w_q = head
    values, keys, seeking = tokens @ w_v.T, tokens @ w_k.T, tokens @ w_q.T
    query_key, query_seeking = w_k @ query, w_q @ query
    scores = seeking @ keys.T
    if mask == "causal":
        scores = jnp.where(jnp.tril(jnp.ones_like(scores, dtype=bool)), scores, -jnp.inf)
    update, total = _softmax_read(scores, values)
    if mask != "causal":  # there a demonstration sees earlier ones only, never the query
        update = update * jax.nn.sigmoid(total - seeking @ query_key)[:, None]
    read, total = _softmax_read(keys @ query_seeking, values)
    return update, read * jax.nn.sigmoid(total - query_seeking @ query_key)


def _softmax_read(scores: Any, values: Any) -> tuple:
    """Σ_j exp(s_j) v_j / Z and log Z, Z = Σ_j exp(s_j)."""
    largest = jax.lax.stop_gradient(scores.max(-1, keepdims=True))  # drops out of both, but keeps exp from overflowing
    terms = jnp.exp(scores - largest)
    total = terms.sum(-1, keepdims=True)
    return terms @ values / total, (jnp.log(total) + largest)[..., 0]


def layer_step(layer: AttentionWeights, tokens: Any, query: Any, options: tuple[str, str, str, str]) -> tuple:
    """Demonstrations (N, D) and query (D,) after one layer; `layer` holds the matrices of that layer alone."""
    kind, mask, normalization, activation = options
    scale = 1.0 / tokens.shape[0] if normalization == "mean" else 1.0
    attend = _linear_update if kind == "linear" else _softmax_update
    heads = layer.value, layer.key, layer.query
    if layer.heads is None:
        updates = attend(heads, tokens, query, mask, scale)
    else:
        each = jax.vmap(lambda *head: attend(head, tokens, query, mask, scale))(*heads)
        updates = tuple(update.sum(0) for update in each)
    if layer.mlp_in is not None:
        act = jax.nn.relu if activation == "relu" else (lambda z: z)
        updates = tuple(act(u @ layer.mlp_in.T) @ layer.mlp_out.T for u in updates)
    return tokens + updates[0], query + updates[1]


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
    options = kind, mask, normalization, activation
    return jax.lax.scan(lambda carry, layer: (layer_step(layer, *carry, options), None), (tokens, query), weights)[0]


def predict_batch(
    weights: AttentionWeights, x: Any, y: Any, x_query: Any, options: tuple[str, str, str, str], readout: str
) -> Any:
    """ŷ (batch,) or (batch, d_y) from x (batch, N, d_x), y (batch, N) or (batch, N, d_y), x_query (batch, d_x).

    jax arrays in and out, for use inside jit; `options` are kind, mask, normalization and activation.
    """
    labels = y[..., None] if y.ndim == 2 else y
    tokens = jnp.concatenate([x, labels], axis=-1)
    width, outputs = x_query.shape[1], labels.shape[-1]
    queries = jnp.concatenate([x_query, jnp.zeros((len(x_query), outputs), x_query.dtype)], axis=-1)
    final = jax.vmap(lambda t, q: forward_tokens(weights, t, q, *options)[1][width:])(tokens, queries)
    final = final[:, 0] if y.ndim == 2 else final
    return -final if readout == "minus" else final


_forward = jax.jit(forward_tokens, static_argnums=(3, 4, 5, 6))
_predict = jax.jit(predict_batch, static_argnums=(4, 5))


def checked_options(kind: str, mask: str, normalization: str, activation: str) -> tuple[str, str, str, str]:
    """The four options of a forward pass, or a refusal."""
    return (
        checks.choice("kind", kind, KINDS),
        checks.choice("mask", mask, MASKS),
        checks.choice("normalization", normalization, NORMALIZATIONS),
        checks.choice("activation", activation, ACTIVATIONS),
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
    """The query token after all layers: h ← h + Σ_heads W_V H (W_K H)ᵀ W_Q h in every layer, for every token.

    Args:
        weights: value, key, query, each (L, D, D), or (L, heads, D, D).
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
    tokens = checks.array("demonstrations", demonstrations, (None, None), "pass one token per row")
    query = checks.array("query", query, (tokens.shape[1],), "pass one token of the same dimension")
    weights = checked(weights, tokens.shape[1])
    return _forward(weights, tokens, query, *checked_options(kind, mask, normalization, activation))[1]


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
    """ŷ = ∓ (label slots of the query after all layers), shape (batch,), or (batch, d_y) if the labels are vectors.

    Args:
        weights: value, key, query, each (L, D, D), or (L, heads, D, D), with D = d_x + d_y.
        prompt: a `Prompt`; its `tokens()` is (batch, N, D), its `x_query` (batch, d_x).
        readout: "minus" (the default: then L layers can be L steps of gradient descent, von Oswald et al. 2023)
            or "plus" (as in Y); at L = 1 the two are equivalent up to the sign of W_V.
        kind, mask, normalization, activation: as in `forward`.

    Returns: predictions, float64.
    Raises: ValueError for a wrong shape, NaN or an unknown option.
    Source: Y Section 3.1 (plus), von Oswald et al. 2023 Prop. 1 (minus).
    """
    checks.choice("readout", readout, ("minus", "plus"))
    if not isinstance(prompt, Prompt):
        raise checks.refuse("prompt", type(prompt).__name__, "a Prompt", "use task.sample or Prompt(x, y, ...)")
    x = checks.array("prompt.x", prompt.x, (None, None, None))
    batch, shots, width = x.shape
    y = checks.array("prompt.y", prompt.y, (batch, shots, None)[: max(2, np.ndim(prompt.y))])
    x_query = checks.array("prompt.x_query", prompt.x_query, (batch, width))
    weights = checked(weights, width + (1 if y.ndim == 2 else y.shape[2]))
    return _predict(weights, x, y, x_query, checked_options(kind, mask, normalization, activation), readout)
