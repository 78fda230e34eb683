"""The exact gap of one layer: against every pairing of Gaussian factors, the formula of a step, and sampling."""

import itertools

import numpy as np
import pytest
from helpers import error_message

from icl_theory import LinearRegression, Model, Uniform, gradient_descent_weights, one_layer_gap, random_weights


def pairings(items: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """All ways to pair the items."""
    if not items:
        return [[]]
    first, rest = items[0], items[1:]
    return [
        [(first, other), *others]
        for index, other in enumerate(rest)
        for others in pairings(rest[:index] + rest[index + 1 :])
    ]


def product_moment(vectors: list[np.ndarray], owners: list[int], sigma: np.ndarray) -> float:
    """E Π (a_i · h_{owner i}) over independent Gaussian tokens: Isserlis, pairs within one token only."""
    total = 0.0
    for pairs in pairings(tuple(range(len(vectors)))):
        if all(owners[i] == owners[j] for i, j in pairs):
            total += float(np.prod([vectors[i] @ sigma @ vectors[j] for i, j in pairs]))
    return total


def gap_by_pairings(model: Model, task: LinearRegression, w: np.ndarray, count: int) -> float:
    """-2 E[e_yᵀ(Σ - S)P] + E[Pᵀ(Σ - S)P], P = [p; 0], every S written as a mean over tokens and every index summed."""
    sigma, label = task.token_covariance(w), np.eye(task.token_dim)[-1]
    heads = model.with_heads()
    parts = []  # p_j = Σ_heads Σ_i (c_j · h_i)(v · h_i)/N
    for value, key, query in zip(heads.value[0], heads.key[0], heads.query[0], strict=True):
        parts.append(((key.T @ query)[:, :-1].T, -value[-1]))
    tokens, total = range(count), 0.0
    for j in range(task.dim):
        unit = np.eye(task.token_dim)[j]
        for rows, v in parts:
            for i in tokens:
                known = (label @ sigma @ unit) * product_moment([rows[j], v], [i, i], sigma)
                total -= 2 * known / count
                for k in tokens:
                    term = product_moment([label, unit, rows[j], v], [k, k, i, i], sigma)
                    total += 2 * term / count**2
        for m in range(task.dim):
            other = np.eye(task.token_dim)[m]
            for (rows, v), (rows_b, v_b) in itertools.product(parts, parts):
                for i, k in itertools.product(tokens, tokens):
                    vectors = [rows[j], v, rows_b[m], v_b]
                    known = (unit @ sigma @ other) * product_moment(vectors, [i, i, k, k], sigma)
                    total += known / count**2
                    for n in tokens:
                        six = product_moment([*vectors, unit, other], [i, i, k, k, n, n], sigma)
                        total -= six / count**3
    return total


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("heads", [None, 2])
def test_every_pairing(rng: np.random.Generator, count: int, heads: int | None) -> None:
    """Against Isserlis over every index and pairing, in two input dimensions."""
    root = rng.standard_normal((2, 2)) + np.eye(2)
    task = LinearRegression(2, covariance=root @ root.T, noise_std=0.6)
    shape = (1, 3, 3) if heads is None else (1, heads, 3, 3)
    model = Model.create(*(0.5 * rng.standard_normal((3, *shape))), heads=heads)
    w = rng.standard_normal(2)
    expected = gap_by_pairings(model, task, w, count)
    assert one_layer_gap(model, task, shots=count, task_vector=w).value == pytest.approx(expected, rel=1e-9)


def test_step(rng: np.random.Generator) -> None:
    """One gradient step with isotropic inputs; both readouts of the same prediction."""
    w = rng.standard_normal(4)
    task, model = LinearRegression(4, noise_std=0.5), gradient_descent_weights(4, step_size=0.7)
    size, n, d, eta = float(w @ w), 15, 4, 0.7
    total = size + 0.25
    second = (2 / n) * (d + 1) * size + (0.25 * d * (d + 1) + size * ((d + 1) * (d + 2) + 2)) / n**2
    expected = (2 * eta / n) * (total * d + size) - eta**2 * second
    found = one_layer_gap(model, task, shots=n, task_vector=w)
    assert (found.direction, found.unit, found.stderr) == ("exact", "squared error", 0.0)
    assert found.value == pytest.approx(expected, rel=1e-11)
    plus = model.replace(readout="plus", value=-model.value)
    assert one_layer_gap(plus, task, shots=n, task_vector=w).value == pytest.approx(expected, rel=1e-11)


def test_sampled(rng: np.random.Generator) -> None:
    """A gradient step that was disturbed, with a linear MLP, against sampled prompts, the losses written out."""
    task = LinearRegression(3, covariance=np.diag([2.0, 1.0, 0.5]), noise_std=0.7)
    step = gradient_descent_weights(3, step_size=0.4)
    moved = (matrix + 0.1 * rng.standard_normal(matrix.shape) for matrix in (step.value, step.key, step.query))
    inner = np.eye(6, 4)[None] + 0.1 * rng.standard_normal((1, 6, 4))
    outer = np.swapaxes(inner, 1, 2).copy()
    plain = Model.create(*moved)
    model = Model.create(plain.value, plain.key, plain.query, inner, outer)
    w, runs, count = rng.standard_normal(3), 60_000, 8
    tokens = task.sample_tokens(rng, np.broadcast_to(w, (runs, 3)), count + 40)
    shown, fresh = tokens[:, :count], tokens[:, count:]
    moments = np.swapaxes(shown, 1, 2) @ shown / count
    update = (outer @ inner @ plain.value)[0] @ moments @ plain.key[0].T @ plain.query[0]
    p = -update[:, -1, :-1]
    losses = [
        ((np.einsum("kj,knj->kn", p, part[..., :-1]) - part[..., -1]) ** 2).mean(axis=1) for part in (fresh, shown)
    ]
    exact = one_layer_gap(model, task, shots=count, task_vector=w)
    difference = losses[0] - losses[1]
    assert abs(difference.mean() - exact.value) < 6 * difference.std() / np.sqrt(runs)
    assert difference.std() / np.sqrt(runs) < 0.05 * abs(exact.value)


def test_gap_errors() -> None:
    """What the closed form does not cover is an error with the reason."""
    model, task, w = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5), np.ones(2)
    options = {"shots": 5, "task_vector": w}
    assert "one layer" in error_message(one_layer_gap, random_weights(0, layers=2, token_dim=3), task, **options)
    assert "softmax" in error_message(one_layer_gap, model.replace(kind="softmax"), task, **options)
    assert "sum" in error_message(one_layer_gap, model.replace(normalization="sum"), task, **options)
    assert "Gaussian" in error_message(one_layer_gap, model, LinearRegression(2, inputs=Uniform()), **options)
    assert "shots" in error_message(one_layer_gap, model, task, shots=0, task_vector=w)
    assert "task_vector" in error_message(one_layer_gap, model, task, shots=5, task_vector=np.ones(3))
