"""Bu, Zou, Veeravalli 2020: the individual-sample bound is at most that of Xu and Raginsky for independent data."""

from itertools import product

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control

_BITS = 5  # demonstrations of the discrete example, each one of two tokens


def _gaussian(case: Case) -> tuple[np.ndarray, float, int]:
    """I(W; h_i), I(W; H_s) and N for W = (1/N) Σ W_V h_i + noise, everything Gaussian."""
    value, count = case.model.value[0], len(case.demonstrations)
    one = value @ case.task.token_covariance(case.task_vector) @ value.T / count**2  # share of one demonstration
    noise = 0.1 * count * np.trace(one) / len(one) * np.eye(len(one))
    volume = np.linalg.slogdet(count * one + noise)[1]
    single = 0.5 * (volume - np.linalg.slogdet((count - 1) * one + noise)[1])
    return np.full(count, single), float(0.5 * (volume - np.linalg.slogdet(noise)[1])), count


def _entropy(labels: np.ndarray) -> float:
    """Entropy of equally likely outcomes with these labels."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def _discrete(case: Case, *, parity: bool) -> tuple[np.ndarray, float, int]:
    """The same over 32 equally likely sets: demonstration i is one of two tokens; W a number of ΔW in four bins.

    With `parity` W is instead the parity of the choices, of which no single demonstration knows anything.
    """
    w, tokens = case.model, case.demonstrations
    numbers = (tokens @ w.value[0, -1]) * (tokens @ (w.key[0].T @ w.query[0])).sum(axis=1)
    choices = np.array(list(product((0, 1), repeat=_BITS)))
    sums = numbers[2 * np.arange(_BITS) + choices].sum(axis=1)
    output = choices.sum(axis=1) % 2 if parity else np.searchsorted(np.quantile(sums, (0.25, 0.5, 0.75)), sums)
    total = _entropy(output)  # W is a function of the set
    single = [total - 0.5 * sum(_entropy(output[choices[:, i] == bit]) for bit in (0, 1)) for i in range(_BITS)]
    return np.array(single), total, _BITS


def _examples(case: Case) -> list[tuple[np.ndarray, float, int]]:
    return [_gaussian(case), _discrete(case, parity=False), _discrete(case, parity=True)]


def measure(case: Case) -> np.ndarray:
    """$(1/N) Σ_i sqrt(2 R² I(W; h_i))$ with $R = 1$."""
    # The information of a bit with the parity is zero up to rounding, of either sign.
    return np.array([np.sqrt(2 * np.abs(single)).mean() for single, _, _ in _examples(case)])


def predict(case: Case) -> np.ndarray:
    """$sqrt(2 R² I(W; H_s) / N)$."""
    return np.array([np.sqrt(2 * total / count) for _, total, count in _examples(case)])


CLAIM = Claim(
    source="Bu, Zou, Veeravalli 2020, arXiv:1901.04609v2, against Xu and Raginsky 2017, arXiv:1705.07809v2",
    statement="$(1/N) Σ_i sqrt(2 R² I(W; h_i)) ≤ sqrt(2 R² I(W; H_s) / N)$ for independent demonstrations.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="Exact on three channels made of the case's weights: a Gaussian one; a number of $ΔW$ in four bins, "
    "over 32 sets of demonstrations; and the parity of the choices, where the left side is zero and the right is not.",
    controls=(
        Control("sides exchanged", measure=predict, predict=measure),
        Control("sum instead of mean", measure=lambda c: measure(c) * [len(c.demonstrations), _BITS, _BITS]),
    ),
)
