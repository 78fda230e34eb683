"""Where the prompts of a run come from: S drawn directly or token by token, without limit or from a finite set."""

from dataclasses import dataclass
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import transpose
from icl_theory.tasks.base import Task
from icl_theory.tasks.linear_regression import LinearRegression, assemble_moments
from icl_theory.training.config import CheckedConfig

Draw = dict[str, Any]
"""Arrays of prompts by name, float32, all with the same leading axes."""


class Source(Protocol):
    """Draws prompts of a task."""

    @property
    def entries(self) -> int:
        """Numbers per prompt."""
        ...

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...]) -> Draw:
        """Prompts with leading axes `lead`, each of a task of its own."""
        ...


def _chi(rng: np.random.Generator, freedom: Any, size: tuple[int, ...]) -> np.ndarray:
    """Square roots of χ² variates, float32."""
    shape = np.asarray(freedom, np.float32) / np.float32(2)
    return np.sqrt(np.float32(2) * rng.standard_gamma(shape, size, dtype=np.float32))


@dataclass(frozen=True)
class MomentSource:
    """Linear regression with Gaussian tokens, as the independent numbers that S is made of (see `moments_of`).

    Drawn by numpy outside the compiled steps: its χ² variates cost a fixed time for any degrees of freedom, where
    jax's rejection loops inside the scan took longer than the training of one layer and seconds more to compile.
    """

    task: LinearRegression
    shots: int

    @property
    def _width(self) -> int:
        return min(self.task.dim, self.shots)

    @property
    def _below(self) -> int:
        """Normal entries of Bartlett's factor: those below the diagonal, or all of X for N < d."""
        dim = self.task.dim
        return dim * (dim - 1) // 2 if self.shots >= dim else dim * self.shots

    @property
    def entries(self) -> int:
        """Numbers per prompt."""
        return self._below + 2 * self.task.dim + self._width + 1

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...]) -> Draw:
        """Bartlett's normals and χ variates, task w, Qᵀε and the χ² rest."""
        dim, shots, width = self.task.dim, self.shots, self._width
        result = {"normals": rng.standard_normal((*lead, self._below), dtype=np.float32)}
        if shots >= dim:
            result["diagonal"] = _chi(rng, shots - np.arange(dim), (*lead, dim))
        result["w"] = _tasks(self.task, rng, lead)
        if self.task.noise_std > 0:
            result["inside"] = rng.standard_normal((*lead, width), dtype=np.float32)
            rest = _chi(rng, shots - width, lead) ** 2 if shots > width else np.zeros(lead, np.float32)
            result["rest"] = rest
        return result


def _tasks(task: LinearRegression, rng: np.random.Generator, lead: tuple[int, ...]) -> np.ndarray:
    """Task vectors (*lead, d_x), float32."""
    if type(task).sample_tasks is LinearRegression.sample_tasks:  # straight to float32
        return rng.standard_normal((*lead, task.dim), dtype=np.float32) @ task.task_root.astype(np.float32)
    return task.sample_tasks(rng, int(np.prod(lead))).astype(np.float32).reshape(*lead, task.dim)


def moments_of(draw: Draw, root: Any, noise_std: Any, shots: Any) -> Any:
    """S (batch, D, D) in the mean convention from what a `MomentSource` drew; jax arrays, for use inside jit."""
    if "moments" in draw:
        return draw["moments"]
    normals, w = draw["normals"], draw["w"]
    dim, batch = w.shape[-1], len(w)
    if "diagonal" in draw:
        rows, start = [], 0
        for i in range(dim):  # a triangle written row by row: slices cost less than a gather
            zeros = jnp.zeros((batch, dim - 1 - i), w.dtype)
            rows.append(jnp.concatenate([normals[:, start : start + i], draw["diagonal"][:, i : i + 1], zeros], axis=1))
            start += i
        factor = jnp.stack(rows, axis=1)
    else:
        factor = normals.reshape(batch, dim, -1)
    width = factor.shape[-1]
    inside = draw.get("inside", jnp.zeros((batch, width), w.dtype))
    rest = draw.get("rest", jnp.zeros(batch, w.dtype))
    return assemble_moments(root, noise_std, factor, w, inside, rest, shots, jnp)


@dataclass(frozen=True)
class TokenMomentSource:
    """Linear regression with any law of inputs and label noise: tokens are drawn, and S of them is kept."""

    task: LinearRegression
    shots: int

    @property
    def entries(self) -> int:
        """Numbers per prompt, the tokens included while they live."""
        return (self.shots + self.task.token_dim) * self.task.token_dim

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...]) -> Draw:
        """S and w."""
        w = self.task.sample_tasks(rng, int(np.prod(lead)))
        tokens = self.task.sample_tokens(rng, w, self.shots)
        moments = transpose(tokens) @ tokens / self.shots
        return _shaped({"moments": moments, "w": w}, lead)


@dataclass(frozen=True)
class TokenSource:
    """Whole prompts of any task, each with a query."""

    task: Task
    shots: int

    @property
    def entries(self) -> int:
        """Numbers per prompt."""
        return (self.shots + 1) * self.task.token_dim

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...]) -> Draw:
        """x, y, x_query and y_query as in `Prompt`."""
        return self.of_tasks(rng, self.task.sample_tasks(rng, int(np.prod(lead))), lead)

    def of_tasks(self, rng: np.random.Generator, tasks: np.ndarray, lead: tuple[int, ...]) -> Draw:
        """One prompt for each of the tasks."""
        prompt = self.task.sample_prompts(rng, tasks, self.shots)
        arrays = {"x": prompt.x, "y": prompt.y, "x_query": prompt.x_query, "y_query": prompt.y_query}
        return _shaped(arrays, lead)


def _shaped(arrays: dict[str, Any], lead: tuple[int, ...]) -> Draw:
    return {name: np.asarray(a, np.float32).reshape(*lead, *np.shape(a)[1:]) for name, a in arrays.items()}


class Pool:
    """A finite pre-training set per seed: `tasks` functions with `prompts_per_task` prompts each, queries included.

    Batches are drawn from it with replacement. With `linear`, S takes the place of the tokens: a linear-attention
    model sees nothing else of them.
    """

    def __init__(
        self, source: TokenSource, rng: np.random.Generator, seeds: int, tasks: int, prompts: int, linear: bool
    ) -> None:
        functions = np.repeat(source.task.sample_tasks(rng, seeds * tasks), prompts, axis=0)
        draw = source.of_tasks(rng, functions, (seeds, tasks * prompts))
        if linear:
            x, y = draw.pop("x"), draw.pop("y")
            tokens = np.concatenate([x, y[..., None]], axis=-1)
            draw["moments"] = transpose(tokens) @ tokens / np.float32(source.shots)
        self._draw, self._count = draw, tasks * prompts
        self.entries = sum(int(np.prod(a.shape[2:])) for a in draw.values())

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...]) -> Draw:
        """Prompts with leading axes (seeds, length, batch), each seed from its own set."""
        chosen = rng.integers(self._count, size=lead)
        seeds = np.arange(lead[0])[:, None, None]
        return {name: a[seeds, chosen] for name, a in self._draw.items()}

    @property
    def prompts(self) -> Draw:
        """The whole set, leading axes (seeds, prompts)."""
        return self._draw


def source_of(task: Task, config: CheckedConfig, rng: np.random.Generator) -> Source | Pool:
    """Where the prompts come from; a finite set is drawn here. Raises: ValueError for moments that there are not."""
    possible = config.linear_in_moments and task.linear_labels
    if config.sampling == "moments" and not possible:
        task.require_linear("sampling='moments'")
        got = f"'moments' for {config.kind} attention, {config.mask} mask, hidden={config.hidden}, {config.activation}"
        raise checks.error("sampling", got, "linear attention", "use 'auto' or 'tokens'")
    if config.tasks is not None:
        sums = config.linear_in_moments and task.outputs == 1 and config.sampling != "tokens"
        tokens = TokenSource(task, config.shots)
        return Pool(tokens, rng, config.seeds, config.tasks, config.prompts_per_task, sums)
    if not possible or config.sampling == "tokens":
        return TokenSource(task, config.shots)
    linear: LinearRegression = task.require_linear("moments")
    return MomentSource(linear, config.shots) if task.draws_moments else TokenMomentSource(linear, config.shots)
