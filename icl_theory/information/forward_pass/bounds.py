"""Bounds on the generalization gap of the deterministic forward pass, without any model of noise."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.binary_kl import binary_kl_bound
from icl_theory.core.estimate import Estimate, generalization_bound
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key, generator
from icl_theory.core.results import Result
from icl_theory.descent.implied_weights import final_weights
from icl_theory.information.forward_pass.single_token import (
    LARGEST_SHARE,
    readout_information,
    second_moment_information,
)
from icl_theory.information.ladder.losses import BoundedLoss, empirical_loss, loss_range, population_loss
from icl_theory.information.ladder.token_law import token_root
from icl_theory.models.checked import checked_linear
from icl_theory.models.model import Model
from icl_theory.tasks.linear_regression import LinearRegression

FEWEST_RUNS = 16
_ZERO, _NONZERO = 1e-13, 1e-9
"""Relative sizes that count as rounding, and as a rank; what lies between decides nothing, and is an error."""
_BLOCK_ENTRIES = 2**22


@fields_in_help
@dataclass(frozen=True, repr=False)
class ForwardPassBounds(Result):
    """Bounds on the gap E[L_μ(W) - L_{H_s}(W)] of the forward pass itself, and the gap.

    Example:
        >>> from icl_theory import LinearRegression, forward_pass_bounds, random_weights
        >>> model, task = random_weights(0, layers=3, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> found = forward_pass_bounds(model, task, demonstrations=10, clip=4.0, samples=64)
        >>> list(found.rungs), found.trivial
        (['wishart'], 4.0)
    """

    rungs: dict[str, Estimate]
    """Bound on the gap by rung name, (b/N) (c/2) sqrt(2 I), tightest first, in units of the loss."""
    kl_rungs: dict[str, Estimate]
    """The same in the binary relative entropy form, which is never larger and stays below c."""
    information: dict[str, Estimate]
    """I(·; h_1) in nats: of the readout p for `wishart_readout`, of S for `wishart`."""
    gap: Estimate
    """Measured gap of the loss."""
    population_loss: Estimate
    """E L_μ(W), in units of the loss."""
    empirical_loss: Estimate
    """Loss on the demonstrations shown, in units of the loss."""
    trivial: float
    """c, the range of the loss: a bound above it carries no information."""
    tightness: dict[str, float]
    """Bound over measured gap by rung, in the binary relative entropy form; NaN where the gap is not positive."""


def forward_pass_bounds(
    model: Model,
    task: LinearRegression,
    *,
    demonstrations: int,
    clip: float,
    samples: int,
    shots: int | None = None,
    key: Key = 0,
    task_vector: Any = None,
    loss: BoundedLoss = "clipped_squared",
) -> ForwardPassBounds:
    """gap ≤ (b/N) (c/2) sqrt(2 I(W; h_1)) for the forward pass of b of N demonstrations, and the gap, for a fixed task.

    The forward pass has no noise, so that I(W; H_s) = +inf and Theorem 2 does not apply to it. The bound by single
    demonstrations does, since each of them carries a finite information (Bu, Zou and Veeravalli 2020), and by data
    processing through S it holds for every depth, number of heads and truncation:

    * `wishart_readout`: I(p; h_1) of the readout p of a one-layer model with one head (see `readout_information`); it
      falls like sqrt(m/N) with the rank m of the key-query product on the tokens, and not with the rank of W_V;
    * `wishart`: I(S; h_1), a difference of Wishart entropies (see `second_moment_information`), for every model.

    With a random subset of b demonstrations shown to all layers, L_{H_s} counts N - b that are never seen: the gap is
    exactly b/N times that of b demonstrations, and so is the bound.

    Args:
        model: a single model: linear attention over all demonstrations, mean normalization, a linear MLP or none.
        task: Gaussian inputs and label noise.
        demonstrations: N, at least 2.
        clip: c > 0, in units of the squared label.
        samples: Monte Carlo runs for the gap, at least 16.
        shots: b with 2 ≤ b ≤ N, the size of the random subset shown; all N if None.
        key: a jax.random.key or a whole number; the same key gives common random numbers.
        task_vector: w, shape (d_x,); drawn from `key` if None.
        loss: "clipped_squared" (clipped at `clip`) or "zero_one" (`clip` is then without effect).

    Returns: `ForwardPassBounds`; information in nats, bounds and gap in units of the loss.
    Raises: ValueError for anything out of range, tokens that are not Gaussian, or weights whose rank on the tokens
        cannot be decided in float64.
    Source: new; Bu, Zou and Veeravalli 2020 (arXiv:1901.04609v3) for single demonstrations.

    Example:
        >>> from icl_theory import LinearRegression, forward_pass_bounds, one_layer_optimum
        >>> task = LinearRegression(5, noise_std=0.5)
        >>> model = one_layer_optimum(task, shots=20)[0]
        >>> found = forward_pass_bounds(model, task, demonstrations=20, clip=4.0, samples=256)
        >>> found.gap.value < found.kl_rungs["wishart_readout"].value < found.kl_rungs["wishart"].value < found.trivial
        True
    """
    task.require_gaussian_tokens("bounds on the forward pass")
    model = checked_linear(model, task.token_dim, "bounds on the forward pass").without_mlp()
    count = checks.integer("demonstrations", demonstrations, 2, None, "one demonstration alone has no finite bound")
    shown = count if shots is None else checks.integer("shots", shots, 2, count, "show at least two, at most all")
    samples = checks.integer("samples", samples, FEWEST_RUNS, None, "fewer give no honest error bar")
    clip = checks.number("clip", clip, low=0.0, strict=True, hint="clip the loss at a positive value")
    limit = loss_range(loss, clip, task)
    rng = generator(key)
    drawn = task.sample_tasks(rng, 1)[0]
    vector = drawn if task_vector is None else checks.array("task_vector", task_vector, (task.dim,))
    information = {name: Estimate(nats, note=note) for name, nats, note in _informations(model, task, vector, shown)}
    losses = _losses(model, task, vector, shown, samples, rng, (clip, loss))
    seen, unseen = (Estimate.from_samples(values, unit="loss") for values in losses)
    share = shown / count
    rungs, kl_rungs = {}, {}
    for name, nats in information.items():
        rungs[name] = _times(share, generalization_bound(nats, range_constant=limit / 2, demonstrations=1))
        kl = binary_kl_bound(nats, empirical=seen, loss_range=limit, demonstrations=1)
        kl_rungs[name] = _times(share, kl)
    gap = _times(share, Estimate.from_samples(losses[1] - losses[0], unit="loss"))
    tightness = {name: bound.value / gap.value if gap.value > 0 else np.nan for name, bound in kl_rungs.items()}
    return ForwardPassBounds(rungs, kl_rungs, information, gap, unseen, seen, limit, tightness)


def _times(factor: float, estimate: Estimate) -> Estimate:
    """The estimate in other units."""
    value, stderr = factor * estimate.value, factor * estimate.stderr
    return Estimate(value, stderr, estimate.samples, estimate.direction, estimate.unit, estimate.note)


def _informations(model: Model, task: LinearRegression, w: np.ndarray, count: int) -> list[tuple[str, float, str]]:
    """(rung, nats, note): the information about one of `count` demonstrations."""
    root = token_root(task, w)
    found = []
    if model.layers == 1 and model.heads in (None, 1):
        found.append(("wishart_readout", *_readout(model.with_heads(), root, count)))
    width = root.shape[1]
    nats = second_moment_information(count, width)
    note = "" if np.isfinite(nats) else f"N - 1 = {count - 1} is below D = {width}: S without one token has no density"
    return [*found, ("wishart", nats, note)]


def _readout(model: Model, root: np.ndarray, count: int) -> tuple[float, str]:
    """I(p; h_1) for p = Σ k g / N with k = B h on the input columns of B = W_Qᵀ W_K and g the label row of W_V."""
    product = (model.query[0, 0].T @ model.key[0, 0])[:-1] @ root
    own = model.value[0, 0][-1] @ root
    size = np.linalg.norm(own)
    _, values, right = np.linalg.svd(product, full_matrices=False)
    kept = _decided(values, "model") if values[0] > 0 else np.zeros(0, dtype=int)
    if size == 0 or not len(kept):
        return 0.0, "the model predicts 0"
    basis = right[kept]  # orthonormal rows: what k sees of the independent coordinates of a token
    share = float(((basis @ own) ** 2).sum() / size**2)
    if share > LARGEST_SHARE:
        # g is then, nearly, a function of k: s holds Σ g², a sum of another law.
        return np.inf, "the label row of W_V reads nothing but what the query reads: no bound of this form is known"
    return readout_information(count, len(kept), share), ""


def _decided(values: np.ndarray, name: str) -> np.ndarray:
    """Indices of the values that are not zero. Raises: ValueError where rounding could decide."""
    relative = np.abs(values) / np.abs(values).max()
    if ((relative > _ZERO) & (relative < _NONZERO)).any():
        got = f"a relative size of {relative[(relative > _ZERO) & (relative < _NONZERO)][0]:.1e}"
        raise checks.error(f"{name} on the tokens", got, "sizes that are clearly zero or clearly not", "truncate it")
    return np.flatnonzero(relative >= _NONZERO)


def _losses(
    model: Model,
    task: LinearRegression,
    w: np.ndarray,
    count: int,
    samples: int,
    rng: np.random.Generator,
    loss: tuple[float, BoundedLoss],
) -> tuple[np.ndarray, np.ndarray]:
    """Loss on the demonstrations and on fresh tokens of every run, each (samples,); the query carries label noise."""
    block = max(1, _BLOCK_ENTRIES // (count * task.token_dim))
    seen, unseen = [], []
    for low in range(0, samples, block):
        size = min(block, samples - low)
        tokens = task.sample_tokens(rng, np.broadcast_to(w, (size, task.dim)), count)
        p = final_weights(model, np.swapaxes(tokens, 1, 2) @ tokens / count)
        seen.append(empirical_loss(p, tokens, *loss))
        unseen.append(population_loss(p, task, w, *loss))
    return np.concatenate(seen), np.concatenate(unseen)
