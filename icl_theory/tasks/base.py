"""What every task distribution offers: prompts, and the exact values it knows; for others it raises an error."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import Key, generator
from icl_theory.tasks.closed_forms import INPUTS, known, rests_on, withdraw
from icl_theory.tasks.law_facts import checked_law, density_note, fourth_moment, known_fourth_moment, tail_note
from icl_theory.tasks.laws import Law
from icl_theory.tasks.prompt import Prompt, stacked_tokens
from icl_theory.tasks.written import Written


def square_root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    # Rounding can leave an exact zero eigenvalue at -1e-17; `checks.covariance` has rejected real negatives.
    return (vectors * np.sqrt(np.where(values > 0, values, 0.0))) @ vectors.T


class Task(Written, ABC):
    """A distribution over functions: x = Λ^{1/2} u, labels y(x) of a function drawn per prompt, clean at the query.

    A subclass says how functions are drawn, what their labels are and which moments are known in closed form; where
    something is not known it raises an error, so that no theory function returns a number for a task it does not cover.

    To draw otherwise, override `sample_tasks`, `sample_inputs`, `labels`, `corrupted`, `sample_tokens` or
    `sample_prompts`. The closed forms that rest on it then raise an error until they are restated in the class that
    overrides (see `tasks.closed_forms`), and what used them samples whole prompts instead, or raises an error too.

    Example:
        >>> from icl_theory import LinearRegression
        >>> class Shifted(LinearRegression):
        ...     def sample_inputs(self, rng, shape):
        ...         return 1.0 + super().sample_inputs(rng, shape)
        >>> Shifted(3).knows_moments
        False
    """

    dim: int
    """d_x, the input dimension."""
    covariance: Any
    """Λ, shape (d_x, d_x)."""
    inputs: Law
    """Law of the independent coordinates u of x = Λ^{1/2} u; of mean 0 and variance 1."""
    outputs: int = 1
    """d_y; where it is above 1, labels have an axis of that length."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "sample" in vars(cls):
            expected = "sample_prompts(rng, tasks, shots), or a step before it"
            hint = "`sample` only turns a key into a generator, and much is sampled without it"
            raise checks.error(f"{cls.__name__}.sample", "an override", expected, hint)
        withdraw(cls)

    def _check_inputs(self) -> None:
        dim = checks.integer("dim", self.dim, 1, None, "use at least one input dimension")
        object.__setattr__(self, "covariance", checks.covariance("covariance", self.covariance, dim))
        checked_law("inputs", self.inputs)

    def _check_noise(self, noise_std: Any, noise: Any) -> None:
        checks.number("noise_std", noise_std, low=0.0, hint="use 0 for noise-free labels")
        checked_law("noise", noise)

    @property
    def zero_risk(self) -> float:
        """E y_q², the risk of predicting zero, in squared label units. Raises: ValueError if not known."""
        raise self._unknown("zero_risk of the task")

    @abstractmethod
    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Parameters of `batch` functions, shape (batch, ...).

        Args:
            rng: the generator that draws them.
            batch: how many functions.
        """

    @abstractmethod
    def labels(self, x: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """Clean labels of inputs, shape (batch, n[, d_y]).

        Args:
            x: inputs, shape (batch, n, d_x).
            tasks: one function for each entry of the batch, as `sample_tasks` draws them.
        """

    @abstractmethod
    def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """Labels as the demonstrations show them: with label noise.

        Args:
            rng: the generator that draws the noise.
            labels: clean labels, shape (batch, n[, d_y]).
        """

    def readout_moments(self, shots: int) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002  (for those that know)
        """C = E[Σ_c y_qc x_q s_cᵀ] and M = E[Σ_c s_c s_cᵀ] for N = `shots`, each (d_x, d_x).

        c runs over the outputs; s_c = (1/N) Σ_i (Π y_i)_c x_i with Π the `label_projection`, so that at d_y = 1 they
        are E[y_q x_q S_xyᵀ] and E[S_xy S_xyᵀ].

        Args:
            shots: N, the number of demonstrations.

        Raises: ValueError where the task states no closed form.
        """
        raise self._unknown("readout_moments of the task")

    @property
    def knows_moments(self) -> bool:
        """Whether `readout_moments` has a closed form for this task and the law of its inputs."""
        return known(self.readout_moments, 1) is not None

    @property
    def linear_labels(self) -> bool:
        """Whether y = w · x + σ ε with E x xᵀ = Λ and a clean query: then x_q can be integrated out."""
        return known(self.require_linear, "") is not None

    @property
    def draws_moments(self) -> bool:
        """Whether the tokens of a task are Gaussian, so that S can be drawn without them."""
        return known(self.require_gaussian_tokens, "") is not None

    @property
    def classifies(self) -> bool:
        """Whether labels are classes, so that a prediction is right or wrong, see `correct`."""
        return False

    @property
    def label_projection(self) -> np.ndarray:
        """Π, shape (d_y, d_y): the orthogonal projection of labels through which the best one-layer model reads."""
        return np.eye(self.outputs)

    @property
    def token_dim(self) -> int:
        """D = d_x + d_y."""
        return self.dim + self.outputs

    @cached_property
    def input_root(self) -> np.ndarray:
        """Λ^{1/2}, shape (d_x, d_x)."""
        return square_root(self.covariance)

    @rests_on(*INPUTS)
    def input_quartic(self, matrix: np.ndarray) -> np.ndarray:
        """E[x xᵀ A x xᵀ] = 2ΛAΛ + tr(AΛ)Λ + (E u⁴ - 3) Λ^{1/2} diag(Λ^{1/2} A Λ^{1/2}) Λ^{1/2} for symmetric A.

        The last term, from the fourth cumulant E u⁴ - 3 of each u_i, vanishes for Gaussian inputs. Third moments do
        not enter, since the u_i are independent: the law may be skewed.

        Args:
            matrix: A, shape (d_x, d_x), symmetric.

        Raises: ValueError where E u⁴ is not finite or not known.
        """
        lam, root = self.covariance, self.input_root
        fourth = known_fourth_moment(self.inputs, "inputs", "E x xᵀ A x xᵀ")
        excess = (root * np.diag(root @ matrix @ root)) @ root
        return 2 * lam @ matrix @ lam + np.trace(matrix @ lam) * lam + (fourth - 3) * excess

    def sample_inputs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Inputs x = Λ^(1/2) u, shape (*shape, d_x).

        Args:
            rng: the generator that draws them.
            shape: the axes before that of the coordinates.
        """
        return self.inputs.sample(rng, (*shape, self.dim)) @ self.input_root

    def sample_tokens(self, rng: np.random.Generator, tasks: np.ndarray, shots: int) -> np.ndarray:
        """Tokens [x; y], shape (batch, shots, D).

        Args:
            rng: the generator that draws them.
            tasks: one function for each prompt, as `sample_tasks` draws them.
            shots: demonstrations per prompt.
        """
        x = self.sample_inputs(rng, (len(tasks), shots))
        return stacked_tokens(x, self.corrupted(rng, self.labels(x, tasks)))

    def sample(self, key: Key, batch: int, shots: int) -> Prompt:
        """A batch of prompts, each with a task of its own.

        Args:
            key: a jax.random.key (or a whole number); the same key gives the same prompts.
            batch: number of prompts.
            shots: demonstrations per prompt.

        Returns: `Prompt` with float64 arrays.
        Raises: ValueError for a count below one.
        """
        batch = checks.integer("batch", batch, 1, None, "sample at least one prompt")
        shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
        rng = generator(key)
        tasks = self.sample_tasks(rng, batch)
        return self.sample_prompts(rng, tasks, shots)

    def sample_prompts(self, rng: np.random.Generator, tasks: np.ndarray, shots: int) -> Prompt:
        """One prompt with a query for each function.

        Args:
            rng: the generator that draws them.
            tasks: one function for each prompt, as `sample_tasks` draws them.
            shots: demonstrations per prompt.

        Returns: `Prompt` with float64 arrays.
        """
        tokens = self.sample_tokens(rng, tasks, shots)
        x, y = tokens[..., : self.dim], tokens[..., self.dim :]
        x_query = self.sample_inputs(rng, (len(tasks),))
        y = y[..., 0] if self.outputs == 1 else y
        return Prompt(x, y, x_query, self.labels(x_query[:, None], tasks)[:, 0])

    @rests_on(*INPUTS)
    def tail_note(self, order: int) -> str:
        """Why a standard error is no guide where the variance needs moments of that order of a token; mostly empty.

        Args:
            order: the order of the moments.
        """
        noise = getattr(self, "noise", None) if getattr(self, "noise_std", 0.0) > 0 else None
        laws = [self.inputs] if noise is None else [self.inputs, noise]
        return "; ".join(dict.fromkeys(filter(None, (tail_note(law, order) for law in laws))))

    def singular_note(self) -> str:
        """Why, for every N, the second moments of N tokens may lie in fewer dimensions than those of all tokens.

        With positive probability, that is; empty if they almost surely do not. The covariance C_t of a noisy gradient
        is then singular on its support, and a density of it infinite.

        Raises: ValueError where the task does not say.
        """
        raise self._unknown("singular_note of the task")

    def _singular_inputs(self) -> str:
        noise = getattr(self, "noise", None) if getattr(self, "noise_std", 0.0) > 0 else None
        # Signs ±1 are no harm: their square is a constant, and their products with continuous inputs are no others.
        laws = [self.inputs] if noise is None or fourth_moment(noise) == 1 else [self.inputs, noise]
        return "; ".join(filter(None, (density_note(law) for law in laws)))

    def _unknown(self, what: str) -> checks.InvalidInputError:
        hint = "average (predict(...) - y_query)² over task.sample"
        return checks.error(what, f"a {type(self).__name__}", "a task that states it", hint)

    @property
    def row(self) -> Any:
        """One output as `LinearRegression` whose E x xᵀ = Λ and E w wᵀ = Ω are as stated.

        Raises: ValueError if there is none.
        """
        return self.require_linear("second moments")

    def require_linear(self, what: str) -> Any:
        """The task as `LinearRegression` with y = w · x + σ ε, whatever the law of w, u and ε.

        Args:
            what: what needs it, for the message.

        Raises: ValueError for any other task.
        """
        hint = "average (predict(...) - y_query)² over task.sample"
        raise checks.error(f"task for {what}", f"a {type(self).__name__}", "linear regression", hint)

    def require_gaussian_tokens(self, what: str) -> Any:
        """The task as `LinearRegression` with Gaussian inputs and label noise (S is Wishart), any w.

        Args:
            what: what needs it, for the message.

        Raises: ValueError for any other task.
        """
        return self.require_linear(what)

    def require_gaussian_posterior(self, what: str) -> Any:
        """The task as `LinearRegression` with w ~ N(0, Ω) and Gaussian label noise, any inputs.

        Args:
            what: what needs it, for the message.

        Raises: ValueError for any other task.
        """
        return self.require_linear(what)

    @rests_on("sample_prompts")
    def require_tokens(self, what: str) -> None:
        """Check that a prompt is made of independent tokens of its task, as `sample_tokens` draws them.

        Args:
            what: what needs it, for the message.

        Raises: ValueError where `sample_prompts` is overridden.
        """

    def correct(self, prediction: np.ndarray, y_query: np.ndarray) -> np.ndarray:  # noqa: ARG002  (as above)
        """Whether predictions name the class of the query, shape (batch,), bool.

        Args:
            prediction: shape (batch,), or (batch, d_y).
            y_query: clean labels of the queries, of the same shape.

        Raises: ValueError for a task that is no classification, or labels that are no classes.
        """
        got, hint = f"a {type(self).__name__}", "use population_risk"
        raise checks.error("task for the accuracy", got, "a classification", hint)
