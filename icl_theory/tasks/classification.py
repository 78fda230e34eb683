"""Classification in context: labels ±1, and classes as one-hot vectors."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import gammaln, ndtr, owens_t

from icl_theory.core import checks
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import INPUTS, LABELS, STEPS, TOKENS, rests_on
from icl_theory.tasks.laws import GAUSSIAN, Gaussian, Law


@dataclass(frozen=True, eq=False)
class LinearClassification(Task):
    """y = sign(w · x) ∈ {-1, 1} with w ~ N(0, I); a demonstration shows -y with probability q, the query y.

    For x ~ N(0, λI), E[x y | w] = sqrt(2λ/π) w/|w|; flips multiply it by 1 - 2q.

    Args:
        dim: d_x, the input dimension.
        covariance: Λ, shape (d_x, d_x), the identity if None; the closed forms need λI.
        flip_probability: q, from 0 to 1/2.
        inputs: law of the independent u_i of x = Λ^(1/2) u; others than `Gaussian()` have no closed forms.

    Raises: ValueError for what is out of range.
    Source: the half-normal mean E|z| = sqrt(2/π).

    Example:
        >>> from icl_theory import LinearClassification
        >>> prompt = LinearClassification(2).sample(0, batch=2, shots=4)
        >>> set(prompt.y.ravel().tolist())
        {1.0, -1.0}
    """

    dim: int
    covariance: Any = None
    flip_probability: float = 0.0
    inputs: Law = GAUSSIAN

    def __post_init__(self) -> None:
        self._check_inputs()
        flip = checks.number("flip_probability", self.flip_probability, low=0.0, hint="use 0 for labels without flips")
        if flip > 0.5:
            raise checks.error("flip_probability", repr(flip), "at most 0.5", "flip less than half of the labels")

    @property
    @rests_on("labels", "sample_prompts")
    def zero_risk(self) -> float:
        """E y_q² = 1."""
        return 1.0

    @property
    def classifies(self) -> bool:
        """Yes."""
        return True

    def correct(self, prediction: np.ndarray, y_query: np.ndarray) -> np.ndarray:
        """Whether the sign of a prediction (batch,) is the query's label, shape (batch,); labels ±1 only."""
        if not (np.abs(y_query) == 1).all():
            raise checks.error("labels", "numbers other than ±1", "±1", f"override correct in {type(self).__name__}")
        return np.where(prediction >= 0, 1.0, -1.0) == y_query

    @rests_on(*STEPS)
    def readout_moments(self, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """(1-2q) C and ((N-1)/N) (1-2q)² C + Λ/N with C = (2λ/π) I/d_x, since y² = 1; Gaussian x ~ N(0, λI) only."""
        scale = _round_scale(self, "the moments of S_xy")
        kept = 1 - 2 * self.flip_probability
        signal = 2 * scale / (np.pi * self.dim) * np.eye(self.dim)
        return kept * signal, ((shots - 1) * kept**2 * signal + self.covariance) / shots

    @rests_on(*INPUTS, *LABELS, *TOKENS)
    def singular_note(self) -> str:
        """Of inputs that are not known to have a density; y² = 1 is a constant, and y x no x xᵀ, whatever the signs."""
        return self._singular_inputs()

    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Normal vectors w ~ N(0, I) of the separating planes, shape (batch, d_x)."""
        return rng.standard_normal((batch, self.dim))

    def labels(self, x: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """sign(w · x), with sign(0) = 1, shape (batch, n)."""
        return np.where(np.einsum("bnd,bd->bn", x, tasks) >= 0, 1.0, -1.0)

    def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """y, or -y with probability q."""
        return np.where(rng.random(labels.shape) < self.flip_probability, -labels, labels)


@dataclass(frozen=True, eq=False)
class OneHotClassification(Task):
    """y = e_c with c = argmax_k w_k · x over C classes, w_k ~ N(0, I); always clean.

    Args:
        dim: d_x, the input dimension.
        classes: C, at least 2.
        covariance: Λ, shape (d_x, d_x), the identity if None; the closed forms need λI.
        inputs: law of the independent u_i of x = Λ^(1/2) u; others than `Gaussian()` have no closed forms.

    Raises: ValueError for what is out of range.

    Example:
        >>> from icl_theory import OneHotClassification
        >>> prompt = OneHotClassification(2, classes=3).sample(0, batch=2, shots=4)
        >>> prompt.y.shape, set(prompt.y.sum(axis=-1).ravel().tolist())
        ((2, 4, 3), {1.0})
    """

    dim: int
    classes: int
    covariance: Any = None
    inputs: Law = GAUSSIAN

    def __post_init__(self) -> None:
        self._check_inputs()
        checks.integer("classes", self.classes, 2, None, "use at least two classes")
        object.__setattr__(self, "outputs", self.classes)  # d_y = C

    @property
    @rests_on("labels", "sample_prompts")
    def zero_risk(self) -> float:
        """E |y_q|² = 1."""
        return 1.0

    @property
    def label_projection(self) -> np.ndarray:
        """I - 11ᵀ/C: the sum of the one-hot labels is 1 and carries no information, so the best readout removes it."""
        return np.eye(self.classes) - 1 / self.classes

    @property
    def classifies(self) -> bool:
        """Yes."""
        return True

    @cached_property
    @rests_on(*STEPS)
    def class_signal(self) -> float:
        """κ = E Σ_c |E[x 1(c(x) = c) | W]|² for x ~ N(0, λI), by quadrature; λ/π for two classes.

        Two inputs at an angle θ are in one class with probability A(θ) = C ∫ φ_ρ Φ_ρ^{C-1}, ρ = cos θ, in terms of
        the bivariate normal density and distribution function; then κ = λ (E r)² E[cos θ A(θ)] with r = |x|/√λ and
        θ the angle between random directions.
        """
        scale = _round_scale(self, "the signal of the classes")
        length = np.sqrt(2) * np.exp(gammaln((self.dim + 1) / 2) - gammaln(self.dim / 2))
        if self.dim == 1:
            # θ is 0 or π; opposite inputs never share a class, since the largest score becomes the smallest.
            return float(scale * length**2 / 2)
        nodes, weights = np.polynomial.legendre.leggauss(64)
        theta, weights = np.pi / 2 * (nodes + 1), weights * np.pi / 2
        density = np.sin(theta) ** (self.dim - 2)
        same = np.array([_same_class(t, self.classes) for t in theta])
        mean = (weights * density * np.cos(theta) * same).sum() / (weights * density).sum()
        return float(scale * length**2 * mean)

    @rests_on(*STEPS)
    def readout_moments(self, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """(κ/d) I and (((N-1) κ/d + λ (1 - 1/C)) / N) I, since |Π e_c|² = 1 - 1/C; Gaussian x ~ N(0, λI) only."""
        scale = _round_scale(self, "the moments of S_xy")
        signal = self.class_signal / self.dim
        single = scale * (1 - 1 / self.classes)
        return signal * np.eye(self.dim), ((shots - 1) * signal + single) / shots * np.eye(self.dim)

    @rests_on(*INPUTS, *LABELS, *TOKENS)
    def singular_note(self) -> str:
        """The y_c x of a class that is shown to few tokens, or to none, span fewer dimensions than d_x."""
        return "a class can be shown to too few demonstrations"

    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Class vectors w_k, shape (batch, C, d_x)."""
        return rng.standard_normal((batch, self.classes, self.dim))

    def labels(self, x: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """One-hot labels, shape (batch, n, C)."""
        return np.eye(self.classes)[(x @ tasks.swapaxes(1, 2)).argmax(-1)]

    def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:  # noqa: ARG002  (a common name)
        """The labels themselves."""
        return labels

    def correct(self, prediction: np.ndarray, y_query: np.ndarray) -> np.ndarray:
        """Whether the largest entry of a prediction (batch, C) is at the class of a one-hot label, shape (batch,)."""
        if not (((y_query == 0) | (y_query == 1)).all() and (y_query.sum(-1) == 1).all()):
            got, hint = "labels that are not one-hot", f"override correct in {type(self).__name__}"
            raise checks.error("labels", got, "one-hot labels", hint)
        return prediction.argmax(-1) == y_query.argmax(-1)


def _round_scale(task: Task, what: str) -> float:
    """λ of Gaussian inputs x ~ N(0, λI). Raises: ValueError for others."""
    scale = float(task.covariance[0, 0])
    isotropic = np.array_equal(task.covariance, scale * np.eye(task.dim))
    if type(task.inputs) is not Gaussian or not isotropic:
        got = f"{task.inputs!r} inputs with Λ {'=' if isotropic else '≠'} λI"
        hint = "drop covariance and inputs, or sample"
        raise checks.error(f"task for {what}", got, "Gaussian inputs with Λ = λI", hint)
    return scale


def _bivariate_normal_cdf(h: np.ndarray, k: np.ndarray, rho: float) -> np.ndarray:
    """P(Z₁ ≤ h, Z₂ ≤ k) for standard normals of correlation ρ, |ρ| < 1, by Owen's T function (Owen 1956)."""
    root = np.sqrt(1 - rho**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (k - rho * h) / (h * root), (h - rho * k) / (k * root)
    opposite = (h * k < 0) | ((h * k == 0) & (h + k < 0))
    return (ndtr(h) + ndtr(k) - opposite) / 2 - owens_t(h, first) - owens_t(k, second)


def _same_class(theta: float, classes: int, points: int = 64) -> float:
    """A(θ) = C ∫∫ φ_ρ(a, b) Φ_ρ(a, b)^{C-1} da db by a Gauss-Hermite rule in independent normals."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    rho = float(np.cos(theta))
    first, second = np.meshgrid(nodes, nodes, indexing="ij")
    # Sum and difference: they are independent whatever ρ is, and the integrand is symmetric in both.
    u, v = np.sqrt((1 + rho) / 2) * first, np.sqrt((1 - rho) / 2) * second
    inside = _bivariate_normal_cdf(u + v, u - v, rho) ** (classes - 1)
    return float(classes * np.einsum("i,j,ij->", weights, weights, inside) / (2 * np.pi))
