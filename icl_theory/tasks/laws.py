"""Laws of mean 0 and variance 1: of the coordinates u of inputs x = Λ^{1/2} u, and of ε in label noise σ ε.

A closed form needs facts about a law, mostly E u⁴. Where the law does not state it, or it does not exist, there is
no closed form: the number is sampled, or an error is raised.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from icl_theory.core import checks
from icl_theory.tasks.written import Written

_FACTS = ("fourth_moment", "finite_moments", "symmetric", "continuous")


@runtime_checkable
class Law(Protocol):
    """What has to be there: `sample(rng, shape)`, independent draws of mean 0 and variance 1.

    Mean, variance and independence are the user's promise: no finite number of draws proves them. What is known beyond
    them may stand next to `sample` under the names of `UnitLaw`; inherit from that to be written to records too.

    Example:
        >>> from icl_theory.tasks import Law, Uniform
        >>> isinstance(Uniform(), Law)
        True
    """

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Independent draws, an array of `shape`.

        Args:
            rng: the generator that draws them.
            shape: the shape of the result.
        """
        ...


class UnitLaw(Written, ABC):
    """A law of mean 0 and variance 1 with what is known of it: a fact that is not stated is not known.

    What a class states is about its own `sample`: a subclass that draws otherwise begins with nothing known.

    Example:
        >>> from icl_theory import LinearRegression
        >>> from icl_theory.tasks import UnitLaw
        >>> class Coin(UnitLaw):
        ...     fourth_moment = 1.0  # u = ±1
        ...     def sample(self, rng, shape):
        ...         return rng.choice([-1.0, 1.0], size=shape)
        >>> LinearRegression(3, inputs=Coin()).knows_moments
        True
    """

    fourth_moment: float | None = None
    """E u⁴ ≥ 1; `math.inf` where it does not exist, None where it is not known. A number, or a property."""
    finite_moments: float | None = None
    """E |u|^k is finite for every k below this number; None where that is not known."""
    symmetric: bool = False
    """Whether -u is known to have the law of u."""
    continuous: bool = False
    """Whether u is known to have a continuous density that is positive at 0: N inputs then have rank min(N, d)."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own, inherited = vars(cls), cls.__mro__[1:]
        stated = any("sample" in vars(base) for base in inherited if base not in (UnitLaw, Law))
        if "sample" in own and stated:
            for name in _FACTS:
                if name not in own and name not in own.get("__annotations__", {}):
                    setattr(cls, name, vars(UnitLaw)[name])

    @abstractmethod
    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Independent draws, an array of `shape`.

        Args:
            rng: the generator that draws them.
            shape: the shape of the result.
        """


class _Smooth(UnitLaw):
    """The laws below: symmetric, with a continuous density that is positive at 0 and, t aside, all moments."""

    finite_moments = math.inf
    symmetric = True
    continuous = True


@dataclass(frozen=True)
class Gaussian(_Smooth):
    """u ~ N(0, 1): E u⁴ = 3. With it, and Gaussian label noise, N S is Wishart and is drawn without its tokens.

    Example:
        >>> from icl_theory import Gaussian, LinearRegression
        >>> LinearRegression(3, inputs=Gaussian()).draws_moments
        True
    """

    fourth_moment = 3.0

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Independent draws, an array of `shape`."""
        return rng.standard_normal(shape)


GAUSSIAN = Gaussian()


@dataclass(frozen=True)
class Uniform(_Smooth):
    """u uniform on [-√3, √3]: E u⁴ = 9/5. Von Oswald et al. 2023 use Λ = I/3, that is x uniform on [-1, 1].

    Example:
        >>> import numpy as np
        >>> from icl_theory import LinearRegression, Uniform
        >>> task = LinearRegression(2, covariance=np.eye(2) / 3, inputs=Uniform())
        >>> bool(np.abs(task.sample(0, batch=100, shots=9).x).max() <= 1)
        True
    """

    fourth_moment = 9 / 5

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Independent draws, an array of `shape`."""
        return rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), shape)


@dataclass(frozen=True)
class StudentT(_Smooth):
    """u = sqrt((ν - 2)/ν) t_ν, Student's t scaled to variance 1: E u⁴ = 3 (ν - 2)/(ν - 4), infinite for ν ≤ 4.

    Args:
        dof: ν > 2, the degrees of freedom.

    Raises: ValueError for ν ≤ 2, where there is no variance.

    Example:
        >>> from icl_theory import StudentT
        >>> StudentT(5).fourth_moment
        9.0
    """

    dof: float

    def __post_init__(self) -> None:
        dof = checks.number("dof", self.dof, low=2.0, strict=True, hint="a t with ν ≤ 2 has no variance")
        object.__setattr__(self, "dof", dof)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Independent draws, an array of `shape`."""
        return math.sqrt((self.dof - 2) / self.dof) * rng.standard_t(self.dof, shape)

    @property
    def fourth_moment(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """3 (ν - 2)/(ν - 4) for ν > 4, else +inf."""
        return 3 * (self.dof - 2) / (self.dof - 4) if self.dof > 4 else math.inf

    @property
    def finite_moments(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """ν: the density falls like |u|^{-ν-1}."""
        return self.dof


@dataclass(frozen=True)
class Mixture(_Smooth):
    """u = s z / sqrt(E s²), z ~ N(0, 1), with s = `scales[k]` with `probabilities[k]`: E u⁴ = 3 E s⁴ / (E s²)².

    Every coordinate draws its own s. The scales are relative: u has variance 1 whatever their size.

    Args:
        scales: s_k > 0.
        probabilities: p_k ≥ 0 with sum 1, one for each scale.

    Raises: ValueError for a scale that is not positive, or probabilities that are none.

    Example:
        >>> from icl_theory import Mixture
        >>> round(Mixture((1.0, 3.0), (0.9, 0.1)).fourth_moment, 3)
        8.333
    """

    scales: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        scales = checks.array("scales", self.scales, (None,))
        weights = checks.array("probabilities", self.probabilities, (len(scales),), "one for each scale")
        if not (scales > 0).all():
            raise checks.error("scales", f"{scales.min():g}", "positive numbers", "u would have an atom at 0")
        if (weights < 0).any() or abs(weights.sum() - 1) > len(weights) * 1e-15:
            got = f"a sum of {weights.sum():.17g}" if (weights >= 0).all() else "a negative number"
            raise checks.error("probabilities", got, "numbers of at least 0 with sum 1", "divide them by their sum")
        object.__setattr__(self, "scales", tuple(scales.tolist()))
        object.__setattr__(self, "probabilities", tuple(weights.tolist()))

    def _mean(self, power: int) -> float:
        """E s^power, the largest scale being 1, so that no power overflows."""
        relative = np.array(self.scales) / max(self.scales)
        return float(relative**power @ np.array(self.probabilities))

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Independent draws, an array of `shape`."""
        scales = np.array(self.scales) / max(self.scales) / math.sqrt(self._mean(2))
        return rng.choice(scales, size=shape, p=self.probabilities) * rng.standard_normal(shape)

    @property
    def fourth_moment(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """3 E s⁴ / (E s²)²."""
        return 3 * self._mean(4) / self._mean(2) ** 2
