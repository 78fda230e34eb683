"""The ladder of information bounds on the generalization gap, and the measured gap."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.binary_kl import binary_kl_bound
from icl_theory.core.estimate import Estimate, generalization_bound
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key
from icl_theory.core.results import Result
from icl_theory.information.estimators.sandwich import Sandwich
from icl_theory.information.ladder.chain_prior import chain_divergence
from icl_theory.information.ladder.losses import BoundedLoss, loss_range, trajectory_losses
from icl_theory.information.ladder.noisy_trajectory import Batches, Draws, simulate
from icl_theory.information.ladder.path_prior import path_divergences
from icl_theory.information.ladder.path_sandwich import path_sandwich
from icl_theory.information.ladder.readout import readout_rung
from icl_theory.information.ladder.relu_path import collect
from icl_theory.information.ladder.rungs import (
    RUNGS,
    Collected,
    layer_terms,
    low_ends,
    mean_estimate,
    reference_of,
    rung_information,
    singular,
)
from icl_theory.information.ladder.setting import FEWEST_RUNS, Setting, fixed_task
from icl_theory.models.model import Model
from icl_theory.tasks.base import Task


@fields_in_help
@dataclass(frozen=True, repr=False)
class BoundLadder(Result):
    """Bounds on the gap E[L_μ(W) - L_{H_s}(W)], the information behind them, and the gap itself.

    Example:
        >>> from icl_theory import LinearRegression, bound_ladder, random_weights
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> ladder = bound_ladder(model, task, demonstrations=40, shots=10, clip=4.0, samples=64)
        >>> ladder.support, ladder.trivial, list(ladder.rungs)[:3]
        ((6,), 4.0, ['readout_sample', 'readout', 'individual_sample'])
    """

    rungs: dict[str, Estimate]
    """Bound on the gap by rung name, tightest first, in units of the loss; +inf with the reason as note."""
    kl_rungs: dict[str, Estimate]
    """The same informations in the binary relative entropy form (`binary_kl_bound`): never larger, and below c."""
    information: dict[str, Estimate]
    """Nats: "readout" of I(p; H_s), "readout_sample" of Σ_i I(p; h_i), "individual_sample" of Σ_i I(W; h_i),
    "mutual_information" of I(W_L; H_s), the others of I(W_{1:L}; H_s)."""
    low_ends: dict[str, Estimate]
    """The isotropic rungs in nats from below: the logarithm of a sample mean in place of that of an expectation."""
    gap: Estimate
    """Measured gap of the loss."""
    population_loss: Estimate
    """E L_μ(W), in units of the loss."""
    empirical_loss: Estimate
    """E L_{H_s}(W), in units of the loss."""
    sandwich: Sandwich
    """Both ends of I(W; H_s) at L = 1, of the path information I(W_{1:L}; H_s) at L > 1.

    Half of the upper end's mixture is the Gaussian prior on the path, see `sandwich`.
    """
    support: tuple[int, ...]
    """d_S of every layer."""
    trivial: float
    """c, the range of the loss: a bound above it carries no information."""
    notes: tuple[str, ...]
    """What was done with the model before it was bounded, if anything."""
    terms: dict[str, np.ndarray] = field(repr=False)
    """Per-sample terms, shape (samples,), for the sandwich's rungs and its lower end influences, shape (pairs,).

    Equal keys give common random numbers, so paired differences are sharp.
    """


def _collect(setting: Setting, batches: Iterable[Draws], pairs: int | None) -> Collected:
    """Run all batches: terms per layer, losses, the sandwich (from the first batch), dimensions, reason."""
    reference, result = reference_of(setting), Collected()
    for draws in batches:
        runs = simulate(setting, draws)
        if not result.dimensions:
            result.dimensions = [layer.dimension for layer in runs.layers]
            result.reason = singular(runs, setting)
            result.ends = path_sandwich(runs, setting, reference, pairs, result.reason)
            result.readout = readout_rung(runs, setting, reference, pairs, result.ends)
        if not result.reason:
            terms = [layer_terms(x, runs, setting, reference, i) for i, x in enumerate(runs.layers)]
            result.add(terms)
            # One layer is the whole path: the filter has nothing to learn from and would give the same terms.
            one = len(terms) == 1
            by_layer = [terms[0]["gaussian"]] if one else path_divergences(runs, setting, reference)
            result.path.append(np.sum(by_layer, axis=0))
            result.chain.append(chain_divergence(runs, setting, reference, by_layer))
        result.outputs.append((runs.accumulated, draws))
    return result


def bound_ladder(
    model: Model,
    task: Task,
    *,
    demonstrations: int,
    shots: int,
    clip: float,
    samples: int,
    key: Key = 0,
    task_vector: Any = None,
    floor: float = 0.0,
    pairs: int | None = None,
    loss: BoundedLoss = "clipped_squared",
) -> BoundLadder:
    """Upper bounds sqrt(2 R² I / N) on the gap E[L_μ(W) - L_{H_s}(W)], R = c/2, and the gap, for one fixed task.

    Every rung also has its binary relative entropy form, N kl(E L̂/c ‖ E L_μ/c) ≤ I (see `binary_kl_bound`).

    H_s are N tokens of the task w; W = W_L of the trajectory W_t = W_{t-1} + G_t + (C_t + ε² Π_t)^{1/2} n_t with fresh
    noise in every layer, Π_t the projection on the support V_t. The loss is min((ŷ - y)², c) of the query readout, or
    with loss="zero_one" the 0-1 loss of its sign, for which R = 1/2.
    The rungs with d_t = dim V_t, in nats; from `path_information` on upper bounds on I(W_{1:L}; H_s):

    * `readout_sample`: (1/N) Σ_i sqrt(2 R² I(p; h_i)), p as in the next rung, by nested Monte Carlo where the pairs
      resolve it, otherwise from Σ_i I(p; h_i) ≤ I(p; H_s);
    * `readout`: I(p; H_s) of what the loss reads, p = ∓W[y, x], at L = 1 by its own sandwich, otherwise the value of
      `path_information`; finite from N - 1 ≥ dim p on, and lower where W_K or W_Q is truncated, not where W_V is;
    * `individual_sample`: (1/N) Σ_i sqrt(2 R² I(W; h_i)), by nested Monte Carlo where the pairs resolve it, otherwise
      from Σ_i I(W; h_i) ≤ I(W; H_s) (see `individual_information`);
    * `mutual_information`: of W_L alone; at L > 1 the value of `path_information`, by data processing;
    * `path_information`: upper end of the sandwich, of W_{1:L}, its mixture half the prior of the next rung;
    * `path_gaussian`: a Gaussian prior on the path, which learns S from the layers before (see `path_divergences`);
    * `chain`: Σ_t I(W_t; H_s | W_{t-1}) of Lemma 3, a Gaussian prior learning S from W_{t-1} only (`chain_divergence`);
    * `gaussian`: E KL(N(G_t, C_t) || N(m_t, K_t)), the prior being the push-forward of N(Σ_w, Cov(h hᵀ)/b);
    * `isotropic`: ½ Σ {d_t log(E[||G_t - g̃_t||² + tr C_t]/d_t) - E log det_V C_t} with g̃_t = A_t Σ_w B_t;
    * `isotropic_zero`: the same with g̃_t = 0;
    * `theorem_2_repaired`: the same with ||G_t||_F replaced by ||ΔW_t||_F ||I + W_{t-1}||_F;
    * `theorem_2_printed`: +inf, since its hypothesis C_t ≻ 0 cannot hold for D ≥ 2.

    Behind ReLUs in several layers W is the sequence of updates ΔW_t, a prior simulated on fresh tokens stands for all
    Gaussian rungs and what is sharper, and ||I + W_{t-1}|| in `theorem_2_repaired` is ||I||.

    All of them bound the gap of the noisy trajectory. The Wishart bounds of `forward_pass_bounds` need no noise, but
    bound another gap, that of the forward pass itself; `rank_sweep` shows the two side by side.

    Args:
        model: a single model: linear attention over all demonstrations, mean normalization, with a linear or
            ReLU MLP or none.
        task: any with E u⁴ < ∞: `LinearRegression` with any such law, `SparseLinearRegression`, `VectorRegression`,
            `ReLUTeacher`, `LinearClassification`, `OneHotClassification`, or your own.
        demonstrations: N.
        shots: b with 1 ≤ b < N.
        clip: c > 0, in units of the squared label.
        samples: Monte Carlo runs, at least 16.
        key: a jax.random.key or a whole number; the same key gives common random numbers.
        task_vector: w, shape (d_x,), or a row of `task.sample_tasks`; drawn from `key` if None.
        floor: ε² ≥ 0, variance of the noise floor added on the support of every layer; 0 for none.
        pairs: runs used in the sandwich; if None all, up to 4096, or 256 where maps depend on the path.
        loss: "clipped_squared" (clipped at `clip`) or "zero_one" (`clip` is then without effect), of the sign, or for
            one-hot labels of the class.

    Returns: `BoundLadder`; information in nats, bounds and gap in units of the loss.
    Raises: ValueError for anything out of range, a causal mask, softmax, or E u⁴ infinite or unknown.
    Proved: individual_sample ≤ mutual_information ≤ path_information ≤ Σ_t I(W_t; H_s | W_{t-1}) as quantities (the
    estimates within their errors); path_gaussian = chain up to L = 2, path_gaussian ≤ gaussian for invertible weights,
    all three equal at L = 1; there gaussian ≤ isotropic ≤ isotropic_zero ≤ theorem_2_repaired too. The sandwich's upper
    end is at most log 2 nats above `path_gaussian`.
    Source: Y Theorem 2, Lemmas 2, 3 and 6 (arXiv:2406.03768v2) as repaired; Bu, Zou and Veeravalli 2020; Gaussian
    rungs and support: new.

    Example:
        >>> from icl_theory import LinearRegression, bound_ladder, random_weights
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> ladder = bound_ladder(model, task, demonstrations=40, shots=10, clip=4.0, samples=256)
        >>> nats = {name: float(value) for name, value in ladder.information.items()}
        >>> nats["gaussian"] <= nats["isotropic"] <= nats["isotropic_zero"] <= nats["theorem_2_repaired"]
        True
    """
    loss_range(loss, clip, task)  # raises for an unknown loss or a clip out of range
    setting, seed = fixed_task(
        model,
        task,
        demonstrations=demonstrations,
        shots=shots,
        samples=samples,
        key=key,
        task_vector=task_vector,
        floor=floor,
    )
    if pairs is not None:
        pairs = checks.integer("pairs", pairs, FEWEST_RUNS, samples, "use at most all runs")
    return ladder_of(setting, Batches(setting, seed, samples), clip, pairs, loss)


def _notes(setting: Setting) -> tuple[str, ...]:
    mlp: tuple[str, ...] = ()
    if setting.mlp is not None:
        mlp = ("W is the noisy update of the attention; the ReLU MLP behind it is a function of W (data processing)",)
        if setting.through_relus:
            mlp = (*mlp, "in several layers the prior is simulated on fresh tokens along each path")
    elif setting.model.mlp_in is not None:
        mlp = ("the linear MLP of every layer counts as part of W_V, W_out W_in W_V (Y App. A.3): the same function",)
    return (*mlp, *setting.law.notes)


def ladder_of(
    setting: Setting, batches: Iterable[Draws], clip: float, pairs: int | None, loss: BoundedLoss = "clipped_squared"
) -> BoundLadder:
    """`bound_ladder` on draws that may be shared between weights."""
    try:
        collected = collect(setting, batches) if setting.through_relus else _collect(setting, batches, pairs)
    except np.linalg.LinAlgError:
        got = "weights whose noise covariance is singular to rounding on its support"
        hint = "truncate them to a definite rank or pass a noise floor"
        raise checks.error("model", got, "conditioning that float64 can carry", hint) from None
    information, terms = rung_information(collected)
    losses = [trajectory_losses(setting, outputs, draws, clip, loss) for outputs, draws in collected.outputs]
    terms["population"], seen = (np.concatenate(parts) for parts in zip(*losses, strict=True))
    terms["gap"] = terms["population"] - seen
    largest = loss_range(loss, clip, setting.task)
    rungs = {
        name: generalization_bound(information[name], range_constant=largest / 2, demonstrations=setting.demonstrations)
        for name in RUNGS
    }
    gap, population = (mean_estimate(terms[name], "unbiased", "loss") for name in ("gap", "population"))
    empirical = mean_estimate(seen, "unbiased", "loss")
    options = {"empirical": empirical, "loss_range": largest, "demonstrations": setting.demonstrations}
    return BoundLadder(
        rungs=rungs,
        kl_rungs={name: binary_kl_bound(information[name], **options) for name in RUNGS},
        information=information,
        low_ends=low_ends(collected),
        gap=gap,
        population_loss=population,
        empirical_loss=empirical,
        sandwich=collected.ends.sandwich,
        support=tuple(collected.dimensions),
        trivial=largest,
        notes=_notes(setting),
        terms=terms,
    )
