"""Training ensembles of in-context models: seeds in one vmap, steps in one scan; for linear attention free of N."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import numpy as np

from icl_theory.core.field_docs import fields_in_args, fields_in_help
from icl_theory.core.numerics import Key, float32, generator
from icl_theory.core.progress import Progress
from icl_theory.core.results import Result
from icl_theory.models.model import MATRICES, Model
from icl_theory.models.options import Activation, Kind, Mask, Readout
from icl_theory.models.rank_notes import full_ranks
from icl_theory.tasks.base import Task
from icl_theory.training.checkpoints import Checkpoints, Store
from icl_theory.training.config import CheckedConfig, Sampling, TrainConfig
from icl_theory.training.ensemble import (
    checked_config,
    chunk_length,
    draw_chunk,
    run_chunk,
)
from icl_theory.training.optimum import excess_risk, known_optimum
from icl_theory.training.prompt_sources import Pool, Source, source_of
from icl_theory.training.state import State, first_state, restored, saved, setup, versions


@fields_in_help
@dataclass(frozen=True, repr=False)
class TrainResult(Result):
    """A trained ensemble.

    Example:
        >>> from icl_theory import LinearRegression, train
        >>> result = train(LinearRegression(2), 0, layers=1, shots=5, steps=4, seeds=3, batch=2)
        >>> result.losses.shape, result.models.member(0).token_dim, int(result.diverged.sum())
        ((3, 4), 3, 0)
    """

    models: Model
    """The trained models with a leading axis of seeds, numpy float32; tied layers are written out;
    `models.member(s)` is one of them. They are known to have full rank where their numbers allow it."""
    losses: np.ndarray
    """Batch mean of the loss before each step, shape (seeds, steps done), numpy float32: unbiased, noisy. With more
    than four layers and S drawn, the rare prompts with a loss above 1e20 are left out."""
    config: CheckedConfig
    """The settings of the run, with the schedule written out."""
    diverged: np.ndarray
    """Members whose weights, or most losses of the last tenth of the steps, are not finite, shape (seeds,), bool."""


@fields_in_help
@dataclass(frozen=True, repr=False)
class ChunkRecord(Result):
    """What a run knows after one compiled chunk of steps; losses and optimum in squared label units."""

    step: int
    """Steps done."""
    steps: int
    """Steps of the whole run."""
    losses: tuple[float, ...]
    """Mean over the chunk's steps of the batch losses, by seed: unbiased, noisy."""
    optimum: float | None
    """Exact risk of the best one-layer model; None where it has no closed form, or the models are deeper."""
    excess: tuple[float, ...] | None
    """Exact risk of the weights at `step` over the optimum, minus 1, by seed (+inf if diverged); None as above."""


@float32
@fields_in_args(TrainConfig)
def train(
    task: Task,
    key: Key = 0,
    *,
    layers: int,
    shots: int,
    steps: int | None = None,
    seeds: int = 8,
    batch: int = 64,
    learning_rate: float | None = None,
    init_scale: float = 0.2,
    clip_norm: float = 1.0,
    stop_excess: float | None = None,
    heads: int = 1,
    tied: bool = False,
    kind: Kind = "linear",
    mask: Mask = "demonstrations",
    hidden: int = 0,
    activation: Activation = "identity",
    readout: Readout = "minus",
    sampling: Sampling = "auto",
    tasks: int | None = None,
    prompts_per_task: int = 1,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    observe: Callable[[ChunkRecord], None] | None = None,
) -> TrainResult:
    """Minimise E |ŷ - y_q|² over W_V, W_K, W_Q (and the MLP) of every layer.

    Mean normalisation. Adam, a learning rate falling to 0 along half a cosine, the gradient clipped to `clip_norm`;
    float32. Every step and every seed draws fresh prompts, unless `tasks` makes the pre-training set finite.
    For linear attention over all demonstrations on linear regression, ŷ = p · x_q and the loss is E (p - w)ᵀ Λ (p - w):
    x_q is integrated out whatever its law is, so that the gradient has no noise from the query, and for Gaussian inputs
    and label noise S comes from Bartlett's decomposition, so that time and memory do not depend on N. Everything else,
    a task that overrides `sample_inputs` or `labels` included, samples whole prompts.

    The settings from `layers` to `prompts_per_task` are the fields of `TrainConfig`.

    Args:
        task: any task.
        key: a jax.random.key or a whole number; it fixes initial weights and data, the members being independent.
        stop_excess: stop at the first chunk border where the exact risk of every seed is at most (1 + stop_excess)
            times the optimum; None: run all steps. It makes the chunks shorter, hence the data different from a run
            without it.
        checkpoints: save the run at chunk borders and, if `resume` is set, go on from there: the result is
            bit-identical to that of an uninterrupted run on the same machine with the same versions. None: save
            nothing.
        progress: called with (text, step, steps) after every compiled chunk of steps; the text holds the mean loss
            over seeds and the chunk's steps in squared label units. It does not influence the result.
        observe: called with the `ChunkRecord` of every chunk, after a resume with those of the chunks before it too.

    Returns: `TrainResult`. A member that diverges raises no error, it is marked in `TrainResult.diverged`.
    Raises: ValueError for a setting out of its range, "moments" for a model or task that has none, `stop_excess`
        where the optimum is not known (several layers, not linear regression, a singular Λ, no signal), or checkpoints
        that are missing, broken or of another run.
    Warns: `CheckpointWarning` if a broken checkpoint is passed over.
    Source: Ahn et al. 2023, Section 3 (arXiv:2306.00297v2) for the loss.
    Example:
        >>> from icl_theory import LinearRegression, one_layer_optimum, population_risk, train
        >>> task = LinearRegression(2)
        >>> result = train(task, 0, layers=1, shots=10, steps=300, seeds=2)
        >>> risk = population_risk(result.models.member(0), task, shots=10)
        >>> bool(1 <= risk.value / one_layer_optimum(task, shots=10)[1] < 1.1)
        True
    """
    config = checked_config(
        TrainConfig(
            layers=layers,
            heads=heads,
            tied=tied,
            kind=kind,
            mask=mask,
            hidden=hidden,
            activation=activation,
            readout=readout,
            shots=shots,
            steps=steps,
            seeds=seeds,
            batch=batch,
            learning_rate=learning_rate,
            init_scale=init_scale,
            clip_norm=clip_norm,
            stop_excess=stop_excess,
            sampling=sampling,
            tasks=tasks,
            prompts_per_task=prompts_per_task,
        )
    )
    optimum = known_optimum(task, config)
    rng = generator(key)
    store = None if checkpoints is None else Store(checkpoints, setup(task, config, rng), versions())
    source = source_of(task, config, rng)
    length = chunk_length(config, source.entries)
    state = first_state(task, config, rng)
    if checkpoints is not None and store is not None and checkpoints.resume:
        state = restored(store.latest(), state)
    report = observe or (lambda _record: None)
    for chunk in range(-(-state.step // length)):
        report(_record(config, optimum, length, state, chunk))
    watched = observe is not None or store is not None or stop_excess is not None
    for _ in _borders(task, config, source, length, state):
        if optimum is not None and watched:
            state.excess.append(excess_risk(written_out(state.models, config), task, config, optimum))
        record = _record(config, optimum, length, state, (state.step - 1) // length)
        report(record)
        if store is not None:
            store.border(saved(state), last=_finished(config, state))
        if progress is not None:
            progress(f"training, loss {np.mean(record.losses):.3f}", state.step, config.steps)
    return _result(state, config)


def written_out(models: Model, config: CheckedConfig) -> Model:
    """Numpy matrices with tied layers written out."""
    models = jax.tree.map(np.asarray, models)
    return models.repeated(config.layers) if config.tied else models


def _record(config: CheckedConfig, optimum: float | None, length: int, state: State, chunk: int) -> ChunkRecord:
    """What was known after the chunk of that number."""
    low, high = chunk * length, min((chunk + 1) * length, config.steps)
    losses = tuple(state.losses[low:high].mean(0, dtype=np.float64).tolist())
    excess = tuple(state.excess[chunk].tolist()) if state.excess else None
    return ChunkRecord(high, config.steps, losses, optimum, excess)


def _finished(config: CheckedConfig, state: State) -> bool:
    """All steps are done, or every seed is near enough to the optimum."""
    near = (
        config.stop_excess is not None and bool(state.excess) and bool((state.excess[-1] <= config.stop_excess).all())
    )
    return near or state.step >= config.steps


def _borders(task: Task, config: CheckedConfig, source: Source | Pool, length: int, state: State) -> Iterator[None]:
    """Take `state` from chunk border to chunk border until it is finished, stopping at each."""
    rng = np.random.default_rng()
    rng.bit_generator.state = state.generator
    noise = np.float32(getattr(task, "noise_std", 0.0))  # read where S is drawn, hence for linear regression only
    data = np.float32(task.input_root), np.float32(task.covariance), noise, config.shots
    schedule, copies = (config.steps, config.learning_rate, config.clip_norm), config.layers if config.tied else 1
    draws = draw_chunk(rng, config, length, source)
    while not _finished(config, state):
        state.models, state.optimizer, losses = run_chunk(state.models, state.optimizer, draws, data, schedule, copies)
        # What a resumed run starts from: the data of this chunk is drawn, that of the next is not.
        state.generator = rng.bit_generator.state
        low, state.step = state.step, min(state.step + length, config.steps)
        if state.step < config.steps:
            draws = draw_chunk(rng, config, length, source)  # one chunk ahead, while XLA works
        state.losses[low : state.step] = np.asarray(losses).T[: state.step - low]
        yield


def _result(state: State, config: CheckedConfig) -> TrainResult:
    """Everything as numpy, with the members that diverged marked."""
    models, losses = written_out(state.models, config), state.losses[: state.step].T
    # A single loss says little: a model that has trained well can have a batch that overflows.
    last = losses[:, -math.ceil(losses.shape[1] / 10) :]
    finite = np.isfinite(last).mean(axis=1) > 0.5
    for matrix in jax.tree.leaves(models):
        finite &= np.isfinite(matrix.reshape(len(matrix), -1)).all(axis=1)
    matrices = {name: getattr(models, name) for name in MATRICES if getattr(models, name) is not None}
    return TrainResult(models.replace(ranks=full_ranks(matrices)), losses, config, ~finite)
