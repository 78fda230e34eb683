"""The maps of one attention layer, and the forward pass."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import float64, transpose, under_jax, whole_float32
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.models.programs import program
from icl_theory.tasks.linear_regression import Prompt


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


def _joint_update(head: Head, tokens: Any, query: Any, layer: Model, scale: float) -> tuple:
    """The query as one of the keys, the last: seen by itself (mask "decoder"), or by every token ("all")."""
    w_v, w_k, w_q = head
    every = jnp.concatenate([tokens, query[None]])
    scores = (every @ w_q.T) @ (every @ w_k.T).T
    allowed = jnp.ones_like(scores, dtype=bool)
    allowed = jnp.tril(allowed) if layer.mask == "decoder" else allowed
    if layer.kind == "softmax":
        scores = jax.nn.softmax(jnp.where(allowed, scores, -jnp.inf), axis=-1)
    else:
        scores = jnp.where(allowed, scores * scale, 0.0)
    updates = scores @ (every @ w_v.T)
    return updates[:-1], updates[-1]


def _update(head: Head, tokens: Any, query: Any, layer: Model, scale: float) -> tuple:
    """What one head adds to demonstrations and query."""
    if layer.mask in ("decoder", "all"):
        return _joint_update(head, tokens, query, layer, scale)
    attend = _linear_update if layer.kind == "linear" else _softmax_update
    return attend(head, tokens, query, layer.mask, scale)


def layer_step(layer: Model, tokens: Any, query: Any) -> tuple:
    """Demonstrations (N, D) and query (D,) after one layer; `layer` holds the matrices of that layer alone."""
    scale = 1.0 / tokens.shape[0] if layer.normalization == "mean" else 1.0
    heads = layer.value, layer.key, layer.query
    if layer.heads is None:
        updates = _update(heads, tokens, query, layer, scale)
    else:
        each = jax.vmap(lambda *head: _update(head, tokens, query, layer, scale))(*heads)
        updates = tuple(update.sum(0) for update in each)
    if layer.mlp_in is not None:
        act = jax.nn.relu if layer.activation == "relu" else (lambda z: z)
        updates = tuple(act(u @ layer.mlp_in.T) @ layer.mlp_out.T for u in updates)
    return tokens + updates[0], query + updates[1]


@whole_float32
def forward_tokens(model: Model, tokens: Any, query: Any) -> tuple:
    """All layers applied to demonstrations (N, D) and query (D,); jax arrays in and out, for use inside jit."""
    return jax.lax.scan(lambda carry, layer: (layer_step(layer, *carry), None), (tokens, query), model)[0]


@whole_float32
def predict_batch(model: Model, x: Any, y: Any, x_query: Any) -> Any:
    """ŷ (batch,) or (batch, d_y) from x (batch, N, d_x), y (batch, N) or (batch, N, d_y), x_query (batch, d_x).

    jax arrays in and out, for use inside jit.
    """
    x, y, x_query = (jnp.asarray(a) for a in (x, y, x_query))
    labels = y[..., None] if y.ndim == 2 else y
    tokens = jnp.concatenate([x, labels], axis=-1)
    width, outputs = x_query.shape[1], labels.shape[-1]
    queries = jnp.concatenate([x_query, jnp.zeros((len(x_query), outputs), x_query.dtype)], axis=-1)
    final = jax.vmap(lambda t, q: forward_tokens(model, t, q)[1][width:])(tokens, queries)
    final = final[:, 0] if y.ndim == 2 else final
    return -final if model.readout == "minus" else final


_forward = program(forward_tokens, readout="unread")
_predict = program(predict_batch, readout="sign")


def _forward_traced(model: Model, tokens: Any, query: Any) -> Any:
    return forward_tokens(model, jnp.asarray(tokens), jnp.asarray(query))[1]


@under_jax(_forward_traced)
@float64
def forward(model: Model, tokens: Any, query: Any) -> Any:
    """The query token after all layers: h ← h + Σ_heads W_V H (W_K H)ᵀ W_Q h in every layer, for every token.

    Attention kind, mask, normalization and activation are those of the model. Inside jit, vmap and grad it is a
    function of jax arrays in the precision that they have, and numbers are not checked.

    Args:
        model: a single model of token dimension D.
        tokens: the N demonstrations h_i = [x_i; y_i], shape (N, D).
        query: h_q = [x_q; 0], shape (D,).

    Returns: the query token, shape (D,), float64.
    Raises: ValueError for a wrong shape or NaN.
    Source: Y Eq. 3, App. A.2 and A.3, arXiv:2406.03768v2.

    Example:
        >>> from icl_theory import forward, gradient_descent_weights
        >>> model = gradient_descent_weights(1, step_size=0.5)
        >>> forward(model, [[1.0, 2.0], [3.0, 6.0]], [1.0, 0.0])
        array([ 1., -5.])
    """
    tokens = checks.array("tokens", tokens, (None, None), "pass one token per row")
    query = checks.array("query", query, (tokens.shape[1],), "pass one token of the same dimension")
    model = checked(model, tokens.shape[1])
    for layer in range(model.layers):  # one program for models of any depth: compiling it takes longer than all layers
        tokens, query = _forward(jax.tree.map(lambda a, t=layer: a[t : t + 1], model), tokens, query)
    return query


@float64
def predict_each(models: Sequence[Model], prompt: Prompt) -> Any:
    """`predict` of several models of one shape on the same prompts, which have been checked: (models, batch[, d_y])."""
    return np.stack([_predict(model, prompt.x, prompt.y, prompt.x_query) for model in models])


def _predict_traced(model: Model, prompt: Prompt) -> Any:
    return predict_batch(model, prompt.x, prompt.y, prompt.x_query)


@under_jax(_predict_traced)
@float64
def predict(model: Model, prompt: Prompt) -> Any:
    """ŷ = ∓ (label slots of the query after all layers), with the readout of the model.

    Inside jit, vmap and grad it is a function of jax arrays, as `forward` is: ∂ŷ/∂x_q is `jax.grad` of it.

    Args:
        model: a single model of token dimension d_x + d_y.
        prompt: a batch of prompts, see `Prompt`.

    Returns: predictions, shape (batch,), or (batch, d_y) for labels that are vectors; float64.
    Raises: ValueError for a wrong shape or NaN.
    Source: Y Eq. 3, arXiv:2406.03768v2; the minus readout: von Oswald et al. 2023 (arXiv:2212.07677v2).

    Example:
        >>> from icl_theory import LinearRegression, gradient_descent_weights, predict
        >>> prompt = LinearRegression(2).sample(0, batch=3, shots=5)
        >>> predict(gradient_descent_weights(2), prompt).shape
        (3,)
    """
    if not isinstance(prompt, Prompt):
        raise checks.error("prompt", type(prompt).__name__, "a Prompt", "use task.sample or Prompt(x, y, ...)")
    x = checks.array("prompt.x", prompt.x, (None, None, None))
    batch, shots, width = x.shape
    y = checks.array("prompt.y", prompt.y, (batch, shots, None)[: max(2, np.ndim(prompt.y))])
    x_query = checks.array("prompt.x_query", prompt.x_query, (batch, width))
    return _predict(checked(model, width + (1 if y.ndim == 2 else y.shape[2])), x, y, x_query)
