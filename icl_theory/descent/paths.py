"""The road of the implied weight, prompt by prompt: the layers of a model beside explicit gradient descent and GD++."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import float64
from icl_theory.core.results import Result
from icl_theory.descent.gradient_descent import gradient_steps, plus_plus_steps
from icl_theory.descent.implied_weights import implied_from_moments
from icl_theory.models.checked import checked_linear
from icl_theory.models.model import Model
from icl_theory.models.programs import program
from icl_theory.tasks.linear_regression import Prompt

MODEL, DESCENT, PLUS_PLUS = "model", "gradient descent", "GD++"


@fields_in_help
@dataclass(frozen=True, repr=False)
class DescentPaths(Result):
    """Implied weights w_0 = 0, w_1, ..., w_L of a model and of explicit descent, for every prompt of a batch.

    Example:
        >>> import numpy as np
        >>> from icl_theory import LinearRegression, descent_paths, gradient_descent_weights
        >>> model, prompt = gradient_descent_weights(2, layers=3, step_size=0.4), LinearRegression(2).sample(0, 5, 8)
        >>> paths = descent_paths(model, prompt, step_size=0.4)
        >>> {name: path.shape for name, path in paths.weights.items()}
        {'model': (5, 4, 2), 'gradient descent': (5, 4, 2)}
        >>> bool(np.allclose(paths.weights["model"], paths.weights["gradient descent"]))
        True
    """

    x: np.ndarray
    """Inputs of the demonstrations, shape (prompts, N, d_x)."""
    y: np.ndarray
    """Their labels, shape (prompts, N)."""
    weights: dict[str, np.ndarray]
    """"model", "gradient descent" and, where it was asked for, "GD++": each of shape (prompts, L + 1, d_x)."""

    def losses(self) -> dict[str, np.ndarray]:
        """(1/2N) Σ (w·x_i - y_i)² on the demonstrations after every layer or step, shape (prompts, L + 1) each.

        That is the loss that gradient descent goes down; half a squared label unit.
        """
        result = {}
        for name, path in self.weights.items():
            rests = np.einsum("pnd,pld->pln", self.x, path) - self.y[:, None]
            result[name] = (rests**2).mean(axis=-1) / 2
        return result

    def least_squares(self) -> np.ndarray:
        """The weight of least norm with the least loss, to which small steps lead, shape (prompts, d_x)."""
        return np.stack([np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(self.x, self.y, strict=True)])


_every_layer = program(implied_from_moments, readout="sign")


@float64
def _implied(model: Model, moments: np.ndarray) -> Any:
    return _every_layer(model, moments)


def descent_paths(model: Model, prompt: Prompt, *, step_size: float, input_step: float | None = None) -> DescentPaths:
    """The weights p_t with ŷ = p_t · x_q after every layer t, and those of as many explicit steps on the same prompts.

    Gradient descent: w ← w - η (1/N) Σ (w·x_i - y_i) x_i from w_0 = 0. GD++ moves the inputs as well, see
    `gd_plus_plus`.

    Args:
        model: a single model: linear attention over all demonstrations, a linear MLP or none.
        prompt: a batch of prompts with one number as label.
        step_size: η, for instance that of `gradient_descent_agreement`.
        input_step: γ of GD++; None leaves it out.

    Returns: `DescentPaths`.
    Raises: ValueError for a model that is not linear in S, labels that are vectors, or numbers that are not finite.
    Source: von Oswald et al. 2023, Proposition 1 and App. A.10 (arXiv:2212.07677v2); Y Section 3.3
        (arXiv:2406.03768v2).

    Example:
        >>> from icl_theory import LinearRegression, descent_paths, random_weights
        >>> model, prompt = random_weights(0, layers=2, token_dim=3), LinearRegression(2).sample(1, batch=4, shots=6)
        >>> paths = descent_paths(model, prompt, step_size=0.1)
        >>> [loss.shape for loss in paths.losses().values()]
        [(4, 3), (4, 3)]
    """
    if not isinstance(prompt, Prompt):
        raise checks.error("prompt", type(prompt).__name__, "a Prompt", "use task.sample or Prompt(x, y, ...)")
    x = checks.array("prompt.x", prompt.x, (None, None, None))
    y = checks.array("prompt.y", prompt.y, x.shape[:2], "one number as label: vectors have a matrix for a weight")
    eta = checks.number("step_size", step_size, low=-np.inf, hint="pass a finite step size")
    model = checked_linear(model, x.shape[2] + 1, "the path of an implied weight", sums=True).with_mean(x.shape[1])
    tokens = np.concatenate([x, y[..., None]], axis=-1)
    moments = np.swapaxes(tokens, 1, 2) @ tokens / x.shape[1]
    found = {MODEL: _implied(model, moments)}
    with np.errstate(over="ignore", invalid="ignore"):  # steps that are too large diverge, and are seen to
        found[DESCENT] = gradient_steps(moments, np.eye(x.shape[2]), eta, model.layers)[0]
        if input_step is not None:
            gamma = checks.number("input_step", input_step, low=-np.inf, hint="pass a finite number")
            found[PLUS_PLUS] = plus_plus_steps(moments, eta, gamma, model.layers)
    start = np.zeros((len(x), 1, x.shape[2]))
    return DescentPaths(x, y, {name: np.concatenate([start, path], axis=1) for name, path in found.items()})
