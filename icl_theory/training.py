"""Training ensembles of linear-attention models: seeds in one vmap, steps in one scan, at a cost free of N."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from icl_theory import _checks
from icl_theory._numerics import generator
from icl_theory.checkpoint import Checkpoints, Saved, Store, fingerprint
from icl_theory.constructions import one_layer_optimum
from icl_theory.ensemble import (
    TrainConfig,
    checked_config,
    chunk_length,
    draw_chunk,
    initial_optimizer,
    initial_weights,
    run_chunk,
)
from icl_theory.risk import one_layer_risk
from icl_theory.tasks import LinearRegression
from icl_theory.weights import AttentionWeights


@dataclass(frozen=True)
class TrainResult:
    """A trained ensemble."""

    weights: AttentionWeights
    """value, key, query, each (seeds, layers, D, D), numpy float32; `weights.member(s)` is one model."""
    losses: np.ndarray
    """Batch mean of (p - w)ᵀΛ(p - w) before each step, shape (seeds, steps done), numpy float32: unbiased, noisy."""
    config: TrainConfig
    """The settings of the run."""
    diverged: np.ndarray
    """Members whose weights or last loss are not finite, shape (seeds,), bool."""


@dataclass(frozen=True)
class ChunkRecord:
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


@dataclass
class _State:
    """A run at a chunk border."""

    step: int
    weights: Any
    optimizer: Any
    generator: Mapping[str, Any]
    losses: np.ndarray  # (steps, seeds), filled up to `step`
    excess: list[np.ndarray]  # one (seeds,) per chunk, if the optimum is known and someone asks


def train(
    task: LinearRegression,
    key: Any,
    *,
    layers: int,
    shots: int,
    steps: int = 1000,
    seeds: int = 8,
    batch: int = 64,
    learning_rate: float = 0.02,
    init_scale: float = 0.2,
    clip_norm: float = 1.0,
    readout: str = "minus",
    stop_excess: float | None = None,
    checkpoints: Checkpoints | None = None,
    progress: Callable[[int, int, float], None] | None = None,
    observe: Callable[[ChunkRecord], None] | None = None,
) -> TrainResult:
    """Minimise E (p - w)ᵀ Λ (p - w) = E (ŷ - y)² over W_V, W_K, W_Q of every layer, where ŷ = p · x_q.

    Linear attention over the demonstrations, mean normalisation. Adam, a learning rate falling to 0 along half a
    cosine, the gradient clipped to `clip_norm`. Every step and every seed draws fresh prompts (no finite training
    set): S comes from Bartlett's decomposition and x_q is integrated out, so time and memory do not depend on N
    and the gradient has no noise from the query. float32.

    Args:
        task: Gaussian inputs; Λ, Ω and σ may be anything.
        key: a jax.random.key or a whole number; it fixes initial weights and data, the members being independent.
        layers: L. shots: N.
        steps, seeds, batch, learning_rate, init_scale, clip_norm, readout: see `TrainConfig`.
        stop_excess: stop at the first chunk border where the exact risk of every seed is at most (1 + stop_excess)
            times the optimum. It makes the chunks shorter, hence the data different from a run without it.
        checkpoints: save the run at chunk borders and, if `resume` is set, go on from there: the result is
            bit-identical to that of an uninterrupted run on the same machine with the same versions.
        progress: called as progress(step, steps, mean_loss) after every compiled chunk of steps, with the mean
            loss over seeds and the chunk's steps in squared label units; it does not influence the result.
        observe: called with the `ChunkRecord` of every chunk, after a resume with those of the chunks before it too.

    Returns: `TrainResult`. A member that diverges raises nothing, it is marked in `TrainResult.diverged`.
    Raises: ValueError for uniform inputs, a setting out of its range, `stop_excess` where the optimum is not known
        (several layers, a singular Λ, no signal), or checkpoints that are missing, broken or of another run.
    Warns: `CheckpointWarning` if a broken checkpoint is passed over.
    Source: Ahn et al. 2023, Section 3 (arXiv:2306.00297v2) for the loss.
    """
    task.require_gaussian("training on S drawn directly")
    settings = layers, shots, steps, seeds, batch, learning_rate, init_scale, clip_norm, readout, stop_excess
    config = checked_config(TrainConfig(*settings))
    optimum = known_optimum(task, config)
    length = chunk_length(config, task.dim)
    rng = generator(key)
    store = None if checkpoints is None else Store(checkpoints, _setup(task, config, rng), _versions())
    state = _first_state(task, config, rng)
    if checkpoints is not None and store is not None and checkpoints.resume:
        state = _restored(store.latest(), state)
    tell = observe or (lambda _record: None)
    for chunk in range(-(-state.step // length)):
        tell(_record(config, optimum, length, state, chunk))
    watched = observe is not None or store is not None or stop_excess is not None
    for _ in _borders(task, config, length, state):
        if optimum is not None and watched:
            state.excess.append(_excess(state.weights, task, config, optimum))
        record = _record(config, optimum, length, state, (state.step - 1) // length)
        tell(record)
        if store is not None:
            store.border(_saved(state), last=_finished(config, state))
        if progress is not None:
            progress(state.step, config.steps, float(np.mean(record.losses)))
    return _result(state, config)


def known_optimum(task: LinearRegression, config: TrainConfig) -> float | None:
    """Exact risk of the best one-layer model where it is the optimum of this run, else None.

    Raises: ValueError if it is None and `stop_excess` is set.
    """
    optimum = None
    if config.layers == 1 and np.linalg.matrix_rank(task.covariance) == task.dim and task.zero_risk > 0:
        optimum = one_layer_optimum(task, shots=config.shots)[1]
    if config.stop_excess is not None and not optimum:
        got = f"{config.stop_excess} for {config.layers} layer{'s' * (config.layers > 1)}"
        expected = "a run whose optimum is known: one layer, a covariance of full rank, labels that are not all zero"
        raise _checks.refuse("stop_excess", got, expected, "leave stop_excess out")
    return optimum or None


def _excess(weights: Any, task: LinearRegression, config: TrainConfig, optimum: float) -> np.ndarray:
    """Exact risk over the optimum, minus 1, shape (seeds,); +inf for a member that is not finite."""
    weights = jax.tree.map(lambda a: np.asarray(a, dtype=np.float64), weights)
    # A diverged member overflows here; it is reported as +inf.
    with np.errstate(over="ignore", invalid="ignore"):
        risks = [one_layer_risk(weights.member(s), task, config.shots, config.readout) for s in range(config.seeds)]
    excess = np.array(risks) / optimum - 1
    return np.where(np.isfinite(excess), excess, np.inf)  # a member that diverged is never near enough


def _record(config: TrainConfig, optimum: float | None, length: int, state: _State, chunk: int) -> ChunkRecord:
    """What was known after the chunk of that number."""
    low, high = chunk * length, min((chunk + 1) * length, config.steps)
    losses = tuple(state.losses[low:high].mean(0, dtype=np.float64).tolist())
    excess = tuple(state.excess[chunk].tolist()) if state.excess else None
    return ChunkRecord(high, config.steps, losses, optimum, excess)


def _finished(config: TrainConfig, state: _State) -> bool:
    """All steps are done, or every seed is near enough to the optimum."""
    near = (
        config.stop_excess is not None and bool(state.excess) and bool((state.excess[-1] <= config.stop_excess).all())
    )
    return near or state.step >= config.steps


def _first_state(task: LinearRegression, config: TrainConfig, rng: np.random.Generator) -> _State:
    weights = initial_weights(rng, config, task.token_dimension)
    losses = np.full((config.steps, config.seeds), np.nan, np.float32)
    return _State(0, weights, initial_optimizer(weights), rng.bit_generator.state, losses, [])


def _borders(task: LinearRegression, config: TrainConfig, length: int, state: _State) -> Iterator[None]:
    """Take `state` from chunk border to chunk border until it is finished, stopping at each."""
    rng = np.random.default_rng()
    rng.bit_generator.state = state.generator
    root = task.task_root.astype(np.float32)
    data = np.float32(task.input_root), np.float32(task.covariance), np.float32(task.noise_std), config.shots
    schedule = config.steps, config.learning_rate, config.clip_norm
    draws = draw_chunk(rng, config, length, task.dim, root)
    while not _finished(config, state):
        state.weights, state.optimizer, losses = run_chunk(
            state.weights, state.optimizer, draws, data, schedule, config.readout
        )
        # What a resumed run starts from: the data of this chunk is drawn, that of the next is not.
        state.generator = rng.bit_generator.state
        low, state.step = state.step, min(state.step + length, config.steps)
        if state.step < config.steps:
            draws = draw_chunk(rng, config, length, task.dim, root)  # one chunk ahead, while XLA works
        state.losses[low : state.step] = np.asarray(losses)[: state.step - low]
        yield


def _setup(task: LinearRegression, config: TrainConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Everything that determines the run, as plain values; matrices and the key as fingerprints."""
    return asdict(config) | {
        "dim": int(task.dim),
        "noise_std": float(task.noise_std),
        "covariance": fingerprint(task.covariance),
        "task_covariance": fingerprint(task.task_covariance),
        "key": fingerprint(rng.bit_generator.state),
    }


def _versions() -> dict[str, str]:
    return {"jax": jax.__version__, "numpy": np.__version__, "device": jax.devices()[0].device_kind}


def _saved(state: _State) -> Saved:
    """The state as a checkpoint holds it."""
    leaves = jax.tree.leaves((state.weights, state.optimizer))
    arrays = {f"leaf_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    arrays["losses"] = state.losses[: state.step]
    if state.excess:
        arrays["excess"] = np.stack(state.excess)
    return Saved(state.step, arrays, state.generator)


def _restored(saved: Saved, first: _State) -> _State:
    """The state that was saved, in the shape of the first one of the same run."""
    leaves, structure = jax.tree.flatten((first.weights, first.optimizer))
    weights, optimizer = structure.unflatten([saved.arrays[f"leaf_{i}"] for i in range(len(leaves))])
    first.losses[: saved.step] = saved.arrays["losses"]
    return _State(saved.step, weights, optimizer, saved.generator, first.losses, list(saved.arrays.get("excess", ())))


def _result(state: _State, config: TrainConfig) -> TrainResult:
    """Everything as numpy, with the members that diverged marked."""
    weights, losses = jax.tree.map(np.asarray, state.weights), state.losses[: state.step].T
    finite = np.isfinite(losses[:, -1])
    for matrix in jax.tree.leaves(weights):
        finite &= np.isfinite(matrix).all(axis=(1, 2, 3))
    return TrainResult(weights, losses, config, ~finite)
