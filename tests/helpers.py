"""Slow, readable oracles: plain numpy, one line of the definition per line of code, nothing from the package."""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

SHAPE_OF_A_REFUSAL = re.compile(r"^[^:\n]+: got [^\n]+, expected [^\n]+; [^\n]+\.$")


def error_message(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The message of the ValueError that `function` must raise: one line with got, expected and a hint."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is examined on the next line)
        function(*args, **kwargs)
    message = str(caught.value)
    assert SHAPE_OF_A_REFUSAL.match(message), message
    return message


def assert_close(actual: Any, expected: Any, relative: float = 1e-11) -> None:
    """Equality up to `relative` of the largest entry expected; also the shapes and double precision agree."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert actual.dtype == np.float64
    scale = max(float(np.abs(expected).max(initial=0.0)), 1e-300)
    assert np.abs(actual - expected).max(initial=0.0) <= relative * scale


def assert_mean(samples: Any, expected: Any, z: float = 6.0) -> None:
    """The mean over the first axis is `expected` within z standard errors, entry by entry."""
    samples = np.asarray(samples)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - expected) <= z * error + 1e-12).all()


def assert_same_mean(first: Any, second: Any, z: float = 6.0) -> None:
    """Two independent samples have the same mean within z standard errors of the difference."""
    first, second = np.asarray(first), np.asarray(second)
    error = np.sqrt(first.var(axis=0, ddof=1) / len(first) + second.var(axis=0, ddof=1) / len(second))
    assert (np.abs(first.mean(axis=0) - second.mean(axis=0)) <= z * error + 1e-12).all()


def random_matrices(rng: np.random.Generator, layers: int, dimension: int, scale: float = 0.7) -> tuple:
    """value, key, query: each (layers, D, D)."""
    return tuple(rng.standard_normal((3, layers, dimension, dimension)) * scale / np.sqrt(dimension))


def matrix_of_rank(rng: np.random.Generator, size: int, rank: int) -> np.ndarray:
    """A generic size x size matrix of the given rank."""
    return rng.standard_normal((size, rank)) @ rng.standard_normal((rank, size))


def _attention(
    token: np.ndarray,
    seen: list[np.ndarray],
    also_in_normaliser: list[np.ndarray],
    layer: tuple[np.ndarray, np.ndarray, np.ndarray],
    kind: str,
    divisor: float,
) -> np.ndarray:
    """What one token reads from the demonstrations it sees."""
    value, key, query = layer
    scores = [float((key @ other) @ (query @ token)) for other in seen]
    if kind == "softmax":
        hidden = [float((key @ other) @ (query @ token)) for other in also_in_normaliser]
        divisor = sum(np.exp(s) for s in scores) + sum(np.exp(s) for s in hidden)
        scores = [float(np.exp(s)) for s in scores]
    total = np.zeros(len(token))
    for score, other in zip(scores, seen, strict=True):
        total = total + score * (value @ other)
    return total / divisor


def heads_of(model: Any, layer: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """W_V, W_K, W_Q of every head of one layer."""
    matrices = model.value[layer], model.key[layer], model.query[layer]
    return [matrices] if model.heads is None else list(zip(*matrices, strict=True))


def forward_by_token(
    model: Any,
    demonstrations: np.ndarray,
    query: np.ndarray,
    *,
    kind: str | None = None,
    mask: str | None = None,
    normalization: str | None = None,
    activation: str | None = None,
    layers: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(demonstrations, query) after all layers (or the first `layers`), every token in a loop.

    What is not named is as the model says.

    The query is masked as a key, except that the softmax's normaliser counts it: for itself and, without a
    causal mask, for the demonstrations too. A causal demonstration counts itself and earlier ones only. In a decoder
    and where all see all the query is a key.
    """
    kind, mask, normalization = kind or model.kind, mask or model.mask, normalization or model.normalization
    activation = activation or model.activation
    tokens, count = list(np.array(demonstrations, dtype=float)), len(demonstrations)
    query = np.array(query, dtype=float)
    for t in range(len(model.value) if layers is None else layers):
        divisor = float(count) if normalization == "mean" else 1.0
        updates = []
        for i, token in enumerate([*tokens, query]):
            causal = mask == "causal" and i < count
            seen = tokens[: i + 1] if causal else tokens
            rest = [] if causal else [query]
            if mask in ("decoder", "all"):  # the query is a key as the others
                seen = [*tokens, query][: i + 1] if mask == "decoder" else [*tokens, query]
                rest = []
            read = [_attention(token, seen, rest, head, str(kind), divisor) for head in heads_of(model, t)]
            updates.append(np.sum(read, axis=0))
        if model.mlp_in is not None:
            updates = [model.mlp_in[t] @ u for u in updates]
            updates = [np.maximum(u, 0.0) if activation == "relu" else u for u in updates]
            updates = [model.mlp_out[t] @ u for u in updates]
        tokens = [token + u for token, u in zip(tokens, updates, strict=False)]
        query = query + updates[-1]
    return np.array(tokens), query


def accumulated_map(model: Any, tokens: np.ndarray, layers: int, normalization: str = "mean") -> np.ndarray:
    """M = I + W after `layers` layers: each unit vector is sent through as the query."""
    unit = np.eye(tokens.shape[1])
    send = [forward_by_token(model, tokens, e, layers=layers, normalization=normalization)[1] for e in unit]
    return np.array(send).T


def gradients(model: Any, tokens: np.ndarray, layer: int) -> np.ndarray:
    """g_i = (W_V M h_i)(W_K M h_i)ᵀ W_Q M for every demonstration, shape (N, D, D)."""
    m = accumulated_map(model, tokens, layer)
    result = []
    for h in tokens:
        heads = heads_of(model, layer)
        result.append(sum(np.outer(value @ m @ h, key @ m @ h) @ query @ m for value, key, query in heads))
    return np.array(result)


def covariance_by_definition(per_token: np.ndarray, shots: int) -> np.ndarray:
    """(N-b)/(b(N-1)) [(1/N) Σ vec g vec gᵀ - vec G vec Gᵀ], summed in a loop, shape (D², D²)."""
    count = len(per_token)
    mean = sum(g.ravel() for g in per_token) / count
    second = sum(np.outer(g.ravel(), g.ravel()) for g in per_token) / count
    return (count - shots) / (shots * (count - 1)) * (second - np.outer(mean, mean))


def covariance_by_enumeration(per_token: np.ndarray, shots: int) -> np.ndarray:
    """Covariance of the mean gradient over all subsets of b demonstrations, each equally likely."""
    means = [
        sum(per_token[i].ravel() for i in subset) / shots
        for subset in itertools.combinations(range(len(per_token)), shots)
    ]
    centre = np.mean(means, axis=0)
    return np.mean([np.outer(m - centre, m - centre) for m in means], axis=0)


def nonzero_spectrum(per_token: np.ndarray, shots: int, rank: int) -> np.ndarray:
    """The `rank` largest eigenvalues of C as squared singular values: small ones keep their digits."""
    count = len(per_token)
    rows = per_token.reshape(count, -1)
    factor = (count - shots) / (shots * (count - 1) * count)
    return factor * np.linalg.svd(rows - sum(rows) / count, compute_uv=False)[:rank] ** 2


def support_matrix(left: np.ndarray, right: np.ndarray, tokens: np.ndarray | None = None) -> np.ndarray:
    """Columns vec(A X B) for X running over E_ij + E_ji, or over h_i h_jᵀ + h_j h_iᵀ of the tokens."""
    vectors = np.eye(left.shape[1]) if tokens is None else tokens
    pairs = itertools.combinations_with_replacement(range(len(vectors)), 2)
    return np.array(
        [
            (left @ (np.outer(vectors[i], vectors[j]) + np.outer(vectors[j], vectors[i])) @ right).ravel()
            for i, j in pairs
        ]
    ).T


def dense_support_dimension(left: np.ndarray, right: np.ndarray, tokens: np.ndarray | None = None) -> int:
    """Numerical rank of the D² x D(D+1)/2 matrix."""
    return int(np.linalg.matrix_rank(support_matrix(left, right, tokens), tol=1e-9))


def descend(x: np.ndarray, y: np.ndarray, steps: int, step_size: float, preconditioner: np.ndarray) -> np.ndarray:
    """Gradient descent on (1/2N) Σ (w·x - y)², one example at a time."""
    path = [np.zeros(x.shape[1])]
    for _ in range(steps):
        gradient = np.zeros(x.shape[1])
        for x_i, y_i in zip(x, y, strict=True):
            gradient = gradient + (path[-1] @ x_i - y_i) * x_i / len(x)
        path.append(path[-1] - step_size * preconditioner @ gradient)
    return np.array(path)


def best_rank_by_alternation(matrix: np.ndarray, rank: int, rng: np.random.Generator) -> np.ndarray:
    """argmin ||W - U Vᵀ||_F by alternating least squares from several starts: no singular values anywhere."""
    best, smallest = np.zeros_like(matrix), float((matrix**2).sum())
    for _ in range(4 if rank else 0):
        u = rng.standard_normal((matrix.shape[0], rank))
        v = np.zeros((matrix.shape[1], rank))
        for _ in range(300):
            v = np.linalg.lstsq(u, matrix, rcond=None)[0].T
            u = np.linalg.lstsq(v, matrix.T, rcond=None)[0].T
        error = float(((matrix - u @ v.T) ** 2).sum())
        if error < smallest:
            best, smallest = u @ v.T, error
    return best


def readout_moment(task_covariance: np.ndarray, covariance: np.ndarray, noise_std: float, shots: int) -> np.ndarray:
    """E S_xy S_xyᵀ by Isserlis, summed over the pairs of demonstrations and over every index."""
    size = len(covariance)
    result = np.zeros((size, size))
    for i, j, k, m in itertools.product(range(size), repeat=4):
        pairings = covariance[i, k] * covariance[j, m] * (shots**2)
        pairings += (covariance[i, j] * covariance[k, m] + covariance[i, m] * covariance[k, j]) * shots
        result[i, j] += task_covariance[k, m] * pairings / shots**2
    return result + noise_std**2 / shots * covariance


def readout_risk(preconditioner: np.ndarray, task: Any, shots: int) -> float:
    """E (x_q · P S_xy - w · x_q)² = tr Λ(Ω - 2 P Λ Ω + P M Pᵀ) for Gaussian inputs."""
    moment = readout_moment(task.task_covariance, task.covariance, task.noise_std, shots)
    p, lam, omega = preconditioner, task.covariance, task.task_covariance
    return float(np.trace(lam @ (omega - 2 * p @ lam @ omega + p @ moment @ p.T)))


def best_readout_risk(task: Any, shots: int, rank: int, rng: np.random.Generator) -> float:
    """The least `readout_risk` over P = U Vᵀ, by alternating exact minimisation from several starts."""
    lam, omega, size = task.covariance, task.task_covariance, task.dim
    moment = readout_moment(omega, lam, task.noise_std, shots)
    smallest = float(np.trace(lam @ omega))
    for _ in range(4):
        u = rng.standard_normal((size, rank))
        v = np.zeros((size, rank))
        for _ in range(300):
            v = np.linalg.solve(moment, lam @ omega @ lam @ u) @ np.linalg.inv(u.T @ lam @ u)
            u = omega @ lam @ v @ np.linalg.inv(v.T @ moment @ v)
        smallest = min(smallest, readout_risk(u @ v.T, task, shots))
    return smallest


def table_information(table):
    """I(A; U) = Σ p(a, u) log(p(a, u) / (p(a) p(u))), p(u) = ½."""
    marginal: dict = defaultdict(float)
    for (symbol, _), p in table.items():
        marginal[symbol] += p
    return sum(p * math.log(p / (marginal[symbol] / 2)) for (symbol, _), p in table.items() if p > 0)
