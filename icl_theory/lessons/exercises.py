"""Exercises of the lessons: an answer is compared with one computed here, and known mistakes are named."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icl_theory.core import checks

TOLERANCE = 1e-2
"""Relative: an answer may be rounded to three digits."""


@dataclass(frozen=True)
class Exercise:
    """A question whose answer is a number, an array, or a function of numbers."""

    question: str
    right: Any
    """The answer; for a function one that does the same."""
    wrong: dict[str, Any] = field(default_factory=dict)
    """Answers that come from a known mistake, by what to say of it."""
    tries: Callable[[np.random.Generator], tuple[Any, ...]] | None = None
    """Of a function, arguments to try it with."""


def check(number: str, answer: Any) -> bool:
    """Say whether an answer to an exercise of the lessons is right, and of a known mistake what it is.

    Args:
        number: of the exercise, "1.2" for the second of lesson 1.
        answer: a number, an array or a function, as the exercise asks.

    Returns: whether it is right; the same is printed.
    Raises: ValueError for an exercise that does not exist, or an answer of another kind.

    Example:
        >>> from icl_theory.lessons import check
        >>> check("1.1", 10.0)
        1.1: not yet. The mean over the demonstrations has a factor 1/N.
        False
        >>> check("1.1", 5.0)
        1.1: right.
        True
    """
    exercise = EXERCISES[checks.choice("exercise", number, tuple(EXERCISES))]
    if exercise.tries is not None and not callable(answer):
        raise checks.error(f"answer to {number}", type(answer).__name__, "a function", "define it and pass its name")
    if exercise.tries is None and callable(answer):
        raise checks.error(f"answer to {number}", "a function", "a number or an array", "call it")
    found = _agrees(exercise, answer, exercise.right)
    if found:
        print(f"{number}: right.")
        return True
    hint = next((words for words, mistake in exercise.wrong.items() if _agrees(exercise, answer, mistake)), None)
    print(f"{number}: not yet. {hint or 'Work it out for the smallest case by hand.'}")
    return False


def question(number: str) -> str:
    """The question of an exercise. Args: number: "1.2", say. Raises: ValueError for one that does not exist."""
    return EXERCISES[checks.choice("exercise", number, tuple(EXERCISES))].question


def _agrees(exercise: Exercise, answer: Any, other: Any) -> bool:
    if exercise.tries is None:
        return _close(answer, other)
    rng = np.random.default_rng(0)
    return all(_close(answer(*given), other(*given)) for given in (exercise.tries(rng) for _ in range(3)))


def _close(answer: Any, other: Any) -> bool:
    try:
        a, b = np.asarray(answer, dtype=np.float64), np.asarray(other, dtype=np.float64)
    except (TypeError, ValueError):
        raise checks.error("answer", type(answer).__name__, "a number or an array of numbers", "call float") from None
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=TOLERANCE, atol=1e-9))


def _layer(rng: np.random.Generator) -> tuple[Any, ...]:
    """W_V, W_K, W_Q and S of a layer with two inputs."""
    value, key, query, root = rng.standard_normal((4, 3, 3))
    return value, key, query, root @ root.T


def _batch(rng: np.random.Generator) -> tuple[Any, ...]:
    """Gradients of six demonstrations and a number shown."""
    return rng.standard_normal(6), int(rng.integers(1, 6))


def _bound(rng: np.random.Generator) -> tuple[Any, ...]:
    """Information, the end of the loss and N."""
    return float(rng.uniform(0.1, 2.0)), float(rng.uniform(1.0, 8.0)), int(rng.integers(10, 200))


def _subset_variance(g: np.ndarray, b: int) -> float:
    count = len(g)
    return float((count - b) / (b * (count - 1)) * g.var())


def _staircase(dimension: int) -> list[int]:
    return [rank * dimension - rank * (rank - 1) // 2 for rank in range(dimension + 1)]


EXERCISES: dict[str, Exercise] = {
    "1.1": Exercise(
        "The demonstrations are (x, y) = (1, 2) and (3, 6), the loss is (1/2N) Σ (w x_i - y_i)². Where does one step "
        "of size 0.5 from w = 0 lead?",
        5.0,
        {
            "The mean over the demonstrations has a factor 1/N.": 10.0,
            "Downhill: against the gradient, which is negative here.": -5.0,
            "The 1/2 of the loss is gone in its derivative.": 2.5,
        },
    ),
    "1.2": Exercise(
        "W_K = W_Q = diag(1, 0) and the prediction is minus the label slot. Which W_V, shape (2, 2), makes the layer a "
        "step of size eta? Write a function of eta.",
        lambda eta: np.diag([0.0, -eta]),
        {
            "The prediction is minus the label slot.": lambda eta: np.diag([0.0, eta]),
            "The label is the second entry of a token.": lambda eta: np.diag([-eta, 0.0]),
            "With W_K and W_Q as they are, only one entry is needed.": lambda eta: np.diag([-eta, -eta]),
        },
        lambda rng: (float(rng.uniform(0.1, 1.0)),),
    ),
    "1.3": Exercise(
        "Write p, shape (d_x,), with ŷ = p · x_q (readout minus) as a function of W_V, W_K, W_Q and S.",
        lambda value, key, query, s: -(value @ s @ key.T @ query)[-1, :-1],
        {
            "The readout is minus.": lambda value, key, query, s: (value @ s @ key.T @ query)[-1, :-1],
            "The keys stand transposed: S W_Kᵀ W_Q.": lambda value, key, query, s: -(value @ s @ key @ query)[-1, :-1],
            "Row of the label, columns of the inputs.": lambda value, key, query, s: (
                -(value @ s @ key.T @ query)[:-1, -1]
            ),
        },
        _layer,
    ),
    "2.1": Exercise(
        "One input, mean of x² = 1, mean of x y = 3. Where do two steps of size 0.5 from 0 lead?",
        2.25,
        {
            "The second step starts where the first one ended: its gradient is smaller.": 3.0,
            "That is one step.": 1.5,
        },
    ),
    "2.2": Exercise(
        "S_xx = diag(2, 0.5). Up to which step size does gradient descent converge?",
        1.0,
        {
            "The largest eigenvalue decides, not the smallest.": 4.0,
            "Up to 1/λ it does not even oscillate; it converges further.": 0.5,
        },
    ),
    "2.3": Exercise(
        "S_xx = diag(1, 0.1). After one GD++ step with input step 0.5 the inputs have another second moment. What is "
        "its condition number?",
        0.25 / (0.95**2 * 0.1),
        {
            "The inputs moved, so that S is multiplied from both sides: (I - γS) S (I - γS).": 0.5 / 0.095,
            "That was the condition number before.": 10.0,
        },
    ),
    "3.1": Exercise(
        "Write the variance of the mean of b of the N numbers g, drawn without replacement, as a function of g and b.",
        _subset_variance,
        {
            "Without replacement it falls to 0 at b = N.": lambda g, b: float(g.var() / b),
            "The variance over all N divides by N; then the factor is (N - b)/(b (N - 1)).": lambda g, b: float(
                (len(g) - b) / (b * (len(g) - 1)) * g.var(ddof=1)
            ),
        },
        _batch,
    ),
    "3.2": Exercise(
        "D = 6 and all matrices are invertible. In how many of the D² = 36 directions of ΔW is there noise?",
        21,
        {
            "ΔW is a function of S, which is symmetric.": 36,
            "The diagonal of S counts too.": 15,
        },
    ),
    "3.3": Exercise(
        "D = 6, N = 10 tokens, invertible matrices. What is the largest rank the covariance of the noise can have?",
        9,
        {
            "It is made of N gradients with their mean taken off.": 10,
            "There are fewer tokens than directions.": 21,
        },
    ),
    "4.1": Exercise(
        "Write the bound on the gap as a function of the information I, the end c of a loss in [0, c], and N.",
        lambda information, c, n: math.sqrt(2 * (c / 2) ** 2 * information / n),
        {
            "A loss in [0, c] is c/2-sub-Gaussian.": lambda information, c, n: math.sqrt(2 * c**2 * information / n),
            "Without the root it is no bound.": lambda information, c, n: 2 * (c / 2) ** 2 * information / n,
        },
        _bound,
    ),
    "4.2": Exercise(
        "W = G + noise, both Gaussian numbers, G with variance 3 and the noise with variance 1. How many nats does W "
        "say of G?",
        0.5 * math.log(4),
        {
            "That is in bits.": 1.0,
            "A half stands before the logarithm.": math.log(4),
            "The logarithm is of 1 + signal/noise.": 0.5 * math.log(3),
        },
    ),
    "4.3": Exercise(
        "The loss lies in [0, 4] and N = 80. From how many nats on does the bound say nothing?",
        160.0,
        {"R is c/2 = 2, and the bound is a root: square both sides.": 40.0},
    ),
    "5.1": Exercise(
        "How far, in Frobenius norm, is diag(3, 2, 1) from the nearest matrix of rank 1?",
        math.sqrt(5),
        {
            "Squares add up, and then the root.": 3.0,
            "The root is missing.": 5.0,
        },
    ),
    "5.2": Exercise(
        "W = diag(2, 1), and tokens have E h hᵀ = diag(1, 9). What is the least E |W h - X h|² over X of rank 1?",
        4.0,
        {
            "The plain truncation drops the second direction, where the tokens are long.": 9.0,
            "In the norm of the tokens: square, and weigh by 9 or 1.": 1.0,
        },
    ),
    "5.3": Exercise(
        "D = 6, W_K and W_Q invertible, W_V at rank 0, 1, ..., 6: the seven values of d_S, as a list.",
        _staircase(6),
        {
            "That would be without the symmetry of S.": [6 * rank for rank in range(7)],
        },
    ),
}
"""By number, as the lessons name them."""


def check_claim(number: str, claim: Any) -> bool:
    """Run a claim that is the answer to an exercise: it must HOLD where it is tried, with every control caught.

    Args:
        number: of the exercise, "6.1".
        claim: a `Claim`.

    Returns: whether it is right; the same is printed.
    Raises: ValueError for another number, or what is no claim.

    Example:
        >>> from icl_theory.lessons import check_claim
        >>> from icl_theory.claims.registry import load
        >>> check_claim("6.1", load("lemma_3"))
        6.1: right.
        True
    """
    from icl_theory.claims import Claim
    from icl_theory.runs.verify import verify

    checks.choice("exercise", number, ("6.1",))
    if not isinstance(claim, Claim):
        raise checks.error("claim", type(claim).__name__, "a Claim", "build one with dataclasses.replace")
    [record] = verify([claim]).records["claims"]
    caught = sum(bool(control["caught"]) for control in record["controls"])
    if record["verdict"] == "HOLDS" and caught == len(record["controls"]):
        print(f"{number}: right.")
        return True
    print(f"{number}: not yet. It {record['verdict']}; {caught} of {len(record['controls'])} controls are caught.")
    return False
