"""Models run on every selection of a supersample: predictions at both tokens of every pair.

Two methods. Models that are linear in the second moment S need S and one vector p per selection, ŷ = p · x_q. For all
others the tokens pass through the model, the 2N masked queries of a selection together with its demonstrations.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import float64
from icl_theory.descent.implied_weights import final_weights
from icl_theory.models.attention import layer_step
from icl_theory.models.model import Model
from icl_theory.models.programs import program

_BLOCK_ENTRIES = 2**18  # numbers in the largest array of a block of forward passes: 2 MiB stay in the cache


def selection_predictions(model: Model, pairs: np.ndarray, bits: np.ndarray, *, outputs: int = 1) -> np.ndarray:
    """ŷ at both tokens of every pair after the demonstrations (z_{1,U_1}, ..., z_{N,U_N}), shown in this order.

    The label slots of a token that serves as query are 0, also when the token is itself a demonstration.

    Args:
        model: a single model of token dimension D.
        pairs: supersamples, shape (S, N, 2, D).
        bits: selections U, shape (M, N), bool.
        outputs: d_y.

    Returns: shape (S, M, N, 2, d_y), float64.
    Raises: ValueError for a model that overflows.
    """
    if outputs == 1 and model.linear_in_moments:
        made = by_moments(model, pairs, bits)
    else:
        made = by_tokens(model, pairs, bits, outputs)
    if not np.isfinite(made).all():
        got, hint = "a model that overflows on some selections", "use weights of a smaller scale or fewer layers"
        raise checks.error("model", got, "finite predictions", hint)
    return made


@float64
def by_moments(model: Model, pairs: np.ndarray, bits: np.ndarray) -> Any:
    """ŷ = p(S) · x_q for linear models with one output: S is affine in the bits, so one product makes all of them."""
    size, count, _, dimension = pairs.shape
    model = model.without_mlp()
    squares = pairs[..., :, None] * pairs[..., None, :] / (count if model.normalization == "mean" else 1)
    change = (squares[:, :, 1] - squares[:, :, 0]).reshape(size, count, -1)
    first = squares[:, :, 0].sum(axis=1).reshape(size, 1, -1)
    made = []
    for index in equal_blocks(size, _BLOCK_ENTRIES // (len(bits) * dimension**2)):
        moments = first[index] + bits.astype(np.float64) @ change[index]
        p = final_weights(model, moments.reshape(-1, dimension, dimension)).reshape(len(index), len(bits), -1)
        made.append(np.einsum("smd,sntd->smnt", p, pairs[index][..., :-1]))
    return np.concatenate(made)[:size, ..., None]


@partial(program, readout="unread", static_argnames="outputs")
def _label_slots(model: Model, shown: Any, queries: Any, outputs: int) -> Any:
    """Label slots (B, 2N, d_y) of the queries (B, 2N, D) after the demonstrations (B, N, D)."""
    layers = [jax.tree.map(lambda a, t=t: a[t], model) for t in range(model.layers)]

    def last(tokens: Any, query: Any) -> Any:
        for layer in layers:
            tokens, query = layer_step(layer, tokens, query)
        return query[-outputs:]

    # The inner vmap repeats only what depends on the query: the demonstrations of a softmax whose normaliser counts the
    # query, or of a model that shows it to them, from the second layer on; of others never. The layers are a loop: a
    # scan would repeat them in the first layer too, and would not drop what the last one does to demonstrations.
    return jax.vmap(jax.vmap(last, in_axes=(None, 0)))(shown, queries)


@float64
def by_tokens(model: Model, pairs: np.ndarray, bits: np.ndarray, outputs: int) -> Any:
    """The forward pass itself, for every model; blocks consist of pairs of a supersample and a selection."""
    size, count, _, dimension = pairs.shape
    queries = pairs.reshape(size, 2 * count, dimension).copy()
    queries[..., -outputs:] = 0.0
    made = []
    for runs in equal_blocks(size * len(bits), _BLOCK_ENTRIES // _entries(model, count)):
        sample, selection = np.divmod(runs, len(bits))
        shown = pairs[sample[:, None], np.arange(count), bits[selection].astype(np.int64)]
        made.append(np.asarray(_label_slots(model, shown, queries[sample], outputs)))
    slots = np.concatenate(made)[: size * len(bits)].reshape(size, len(bits), count, 2, outputs)
    return -slots if model.readout == "minus" else slots


def _entries(model: Model, count: int) -> int:
    """Numbers in the largest array of one forward pass with its 2N queries."""
    width = max(count, model.token_dim, 0 if model.mlp_in is None else model.mlp_in.shape[1])
    repeated = (model.kind, model.mask) == ("softmax", "demonstrations") or model.mask in ("decoder", "all")
    copies = count if repeated else 1
    return 2 * count * copies * width * (model.heads or 1)


def equal_blocks(count: int, most: int) -> Iterator[np.ndarray]:
    """The indices 0, ..., count - 1 in blocks of one size, at most max(1, `most`); the last is filled up from 0.

    Equal blocks mean one compilation; results beyond `count` are to be dropped.
    """
    blocks = math.ceil(count / max(1, most))
    size = math.ceil(count / blocks)
    for block in range(blocks):
        yield np.arange(block * size, (block + 1) * size) % count
