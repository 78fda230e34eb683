"""What is fixed while demonstrations and noise are drawn repeatedly, checked from what a user passes."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import Key, generator
from icl_theory.information.ladder.token_law import TokenLaw, token_law
from icl_theory.models.checked import checked, checked_linear
from icl_theory.models.model import Model
from icl_theory.models.rank_notes import without
from icl_theory.noise.layer_spaces import Structure, layer_structures
from icl_theory.tasks.base import Task

FEWEST_RUNS = 16
_WHAT = "the bound ladder"


@dataclass(frozen=True)
class Setting:
    """A model and the law of its demonstrations: N independent tokens of one function, b of them shown."""

    model: Model
    """Whose W_t are noisy: linear attention, and a linear MLP or none."""
    task: Task
    task_vector: np.ndarray
    """Parameters of the function: w, shape (d_x,), in linear regression, else a row of `task.sample_tasks`."""
    demonstrations: int
    """N."""
    shots: int
    """b < N."""
    floor: float = 0.0
    """ε², variance of extra isotropic noise on the support of every layer."""
    mlp: tuple[np.ndarray, np.ndarray] | None = None
    """W_in (L, H, D) and W_out (L, D, H) whose ReLUs read the noisy updates, which are the W of the ladder."""

    @cached_property
    def law(self) -> TokenLaw:
        """Of the tokens, with the coordinates in which everything is computed."""
        return token_law(self.task, self.task_vector)

    @property
    def basis(self) -> np.ndarray:
        """B (D, q) with tokens h = B u: q = D, less for labels without noise or a singular Λ."""
        return self.law.basis

    @property
    def covariance(self) -> np.ndarray:
        """E h hᵀ = B Bᵀ, shape (D, D)."""
        return self.basis @ self.basis.T

    @cached_property
    def structures(self) -> list[Structure]:
        """Which gradients every layer can have, from the weights alone. Raises: ValueError where a rank is in doubt."""
        return layer_structures(self.model, self.basis, self.law.growth)

    @property
    def through_relus(self) -> bool:
        """Whether tokens pass a ReLU before a later layer, so that they are no linear images of what was shown."""
        return self.mlp is not None and self.model.layers > 1

    @property
    def coordinates(self) -> int:
        """m, the number of coordinates of the second moment that vary: q(q+1)/2, less for labels of constant size."""
        return self.law.coordinates

    def with_model(self, model: Model) -> "Setting":
        """The same for other weights of the same shapes: on equal draws the two are compared pairwise.

        Raises: ValueError for a model that the ladder does not cover.
        """
        attention, mlp = ladder_model(model, self.task)
        result = replace(self, model=attention, mlp=mlp)
        result.__dict__["law"] = self.law  # the tokens are the same: their law is taken once
        return result


def ladder_model(model: Model, task: Task) -> tuple[Model, tuple[np.ndarray, np.ndarray] | None]:
    """The model whose W_t the ladder bounds, and the ReLU MLP behind it.

    A linear MLP is part of W_V. With ReLUs the output is a function of the attention's updates ΔW_t, so by data
    processing what bounds these bounds the output; in several layers see `relu_path`.

    Raises: ValueError for a model of any other kind, with the reason.
    """
    found = checked(model, task.token_dim)
    if found.mask != "demonstrations":
        hint = "use supersample_bounds, which take any model"
        expected = "every demonstration seen by all: under a causal mask Assumption 1 has no meaning from layer 2 on"
        if found.mask != "causal":
            expected = "a query that sees the demonstrations alone: with itself among the keys no W acts on it"
        raise checks.error(f"model for {_WHAT}", f"mask={found.mask!r}", expected, hint)
    if found.kind == "softmax":
        hint = "use supersample_bounds, which take any model"
        expected = "linear attention: a softmax has infinitely many features, and every density of W is infinite"
        raise checks.error(f"model for {_WHAT}", "kind='softmax'", expected, hint)
    if found.mlp_in is None or found.activation != "relu":
        return checked_linear(found, task.token_dim, _WHAT), None
    attention = found.replace(mlp_in=None, mlp_out=None, ranks=without(found.ranks, ("mlp_in", "mlp_out")))
    mlp_in, mlp_out = (np.asarray(matrix, dtype=np.float64) for matrix in (found.mlp_in, found.mlp_out))
    return checked_linear(attention, task.token_dim, _WHAT), (mlp_in, mlp_out)


def fixed_function(task: Task, rng: np.random.Generator, task_vector: Any) -> np.ndarray:
    """The parameters of one function, drawn if they are not given; the generator moves on alike. Raises: ValueError."""
    drawn = task.sample_tasks(rng, 1)[0]
    return drawn if task_vector is None else checks.array("task_vector", task_vector, drawn.shape)


def fixed_task(
    model: Model,
    task: Task,
    *,
    demonstrations: int,
    shots: int,
    samples: int,
    key: Key,
    task_vector: Any,
    floor: float = 0.0,
) -> tuple[Setting, int]:
    """The checked setting of one fixed task, drawn from `key` if it is not given, and the seed of its runs.

    Raises: ValueError for anything out of range, as in `bound_ladder`.
    """
    attention, mlp = ladder_model(model, task)
    demonstrations = checks.integer("demonstrations", demonstrations, 2, None, "noise needs two demonstrations")
    shots = checks.integer("shots", shots, 1, demonstrations - 1, "show at least one and not all of them")
    checks.integer("samples", samples, FEWEST_RUNS, None, "fewer give no honest error bar")
    floor = checks.number("floor", floor, low=0.0, hint="pass a noise variance of 0 or more")
    rng = generator(key)
    function = fixed_function(task, rng, task_vector)
    return Setting(attention, task, function, demonstrations, shots, floor, mlp), int(rng.integers(2**62))
