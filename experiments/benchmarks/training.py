"""What training costs: time to the optimum against the textbook loop, cost against N, and an ensemble against one run.

(a) Seconds until the exact risk is within 1 % of the closed-form optimum. The textbook loop samples tokens and a query
    (batch 2048) and takes one jitted optimiser step per Python iteration; its optimiser and first weights are ours.
    Both have a schedule chosen for them: ours once, in CASES, the textbook's here, the shortest in SCHEDULES that gets
    there; neither its evaluations nor the schedules that did not get there are on its clock.
(b) Seconds per step at N = 4000 and N = 40.
(c) Seconds per seed, and compile time, of 64 seeds and of one.
(d) Peak memory of a process that trains 12 layers at d = 20 with 16 seeds.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from measuring import resident_gib, seconds

from icl_theory import LinearRegression, Model, one_layer_optimum, train
from icl_theory.risk.one_layer import one_layer_risk
from icl_theory.training.config import CheckedConfig, TrainConfig
from icl_theory.training.ensemble import checked_config, chunk_length, draw_chunk, initial_weights, run_chunk
from icl_theory.training.optimizer import clipped_adam, initial_optimizer
from icl_theory.training.prompt_sources import MomentSource

EXCESS, TEXTBOOK_BATCH, CAP = 0.01, 2048, 60.0
CASES = {(10, 10): (160, 48, 0.03), (20, 40): (250, 64, 0.02)}
"""(d, N) → our steps, batch and learning rate; one seed."""
SCHEDULES = ((50, 0.1), (70, 0.1), (70, 0.05), (100, 0.05), (140, 0.05), (200, 0.03), (400, 0.02))
"""Steps and learning rates that the textbook loop tries."""
REPEATS, EVALUATE = 5, 5


def settings(layers: int, shots: int, steps: int, seeds: int = 1, batch: int = 64, **more: Any) -> CheckedConfig:
    """Settings of a run; the rest as `train` has it."""
    options = {"learning_rate": 0.02, "init_scale": 0.2, "clip_norm": 1.0, "readout": "minus"} | more
    return checked_config(TrainConfig(layers=layers, shots=shots, steps=steps, seeds=seeds, batch=batch, **options))


def ours(task: LinearRegression, config: CheckedConfig) -> dict[str, Any]:
    """Seconds of the first run (compiled first) and the median of further ones with other keys; steps; success."""
    jax.clear_caches()
    results: list[Any] = []
    times = [seconds(lambda k=k: results.append(train(task, k, **asdict(config)))) for k in range(REPEATS + 1)]
    optimum = one_layer_optimum(task, shots=config.shots)[1]
    excess = [excess_of(r.model.member(0), task, config.shots, optimum) for r in results]
    steps = [result.losses.shape[1] for result in results]
    return {"first": times[0], "later": float(np.median(times[1:])), "steps": steps, "reached": max(excess) <= EXCESS}


def excess_of(model: Model, task: LinearRegression, shots: int, optimum: float) -> float:
    plain = jax.tree.map(lambda a: np.asarray(a, dtype=np.float64), model)
    return one_layer_risk(plain, task, shots) / optimum - 1


def textbook_step(dim: int, shots: int, schedule: tuple) -> Callable:
    """One step on 2048 freshly sampled prompts of tokens with a query."""
    update = clipped_adam(*schedule).update

    def loss(model: Model, key: Any) -> Any:
        keys = jax.random.split(key, 3)
        w = jax.random.normal(keys[0], (TEXTBOOK_BATCH, dim))
        x = jax.random.normal(keys[1], (TEXTBOOK_BATCH, shots, dim))
        x_query = jax.random.normal(keys[2], (TEXTBOOK_BATCH, dim))
        tokens = jnp.concatenate([x, jnp.einsum("bnd,bd->bn", x, w)[..., None]], axis=-1)
        query = jnp.concatenate([x_query, jnp.zeros((TEXTBOOK_BATCH, 1))], axis=-1)
        scores = jnp.einsum("bnd,bd->bn", tokens @ model.key[0].T, query @ model.query[0].T) / shots
        attended = jnp.einsum("bn,bnd->bd", scores, tokens @ model.value[0].T)
        return ((-(query + attended)[:, -1] - (x_query * w).sum(-1)) ** 2).mean()

    @jax.jit
    def step(model: Model, state: Any, key: Any) -> tuple:
        gradient = jax.grad(loss)(model, key)
        change, state = update(gradient, state)
        return jax.tree.map(jnp.add, model, change), state

    return step


def textbook(task: LinearRegression, config: CheckedConfig, steps: int, rate: float) -> dict[str, Any]:
    """Seconds of the textbook loop, with and without its compilation, until it is near enough or the cap is hit."""
    schedule = steps, rate, config.clip_norm
    step = textbook_step(task.dim, config.shots, schedule)
    optimum = one_layer_optimum(task, shots=config.shots)[1]
    first = initial_weights(np.random.default_rng(0), config, task.token_dim)
    model = jax.tree.map(lambda a: jnp.asarray(a[0]), first)
    state, key = clipped_adam(*schedule).init(model), jax.random.key(0)
    compile_time = seconds(lambda: jax.block_until_ready(step(model, state, key)))
    clock, done, reached = 0.0, 0, False
    while not reached and clock < CAP and done < schedule[0]:
        start = time.perf_counter()
        for _ in range(EVALUATE):
            model, state = step(model, state, jax.random.fold_in(key, done))
            done += 1
        jax.block_until_ready(model)
        clock += time.perf_counter() - start
        reached = excess_of(model, task, config.shots, optimum) <= EXCESS
    return {"seconds": clock, "compile": compile_time, "steps": done, "reached": reached, "capped": clock >= CAP}


def time_to_optimum() -> None:
    """(a)"""
    print(f"(a) seconds to within {EXCESS:.0%} of the closed-form optimum, one layer, one seed")
    for (dim, shots), (steps, batch, rate) in CASES.items():
        task = LinearRegression(dim)
        config = settings(1, shots, steps, batch=batch, learning_rate=rate, stop_excess=EXCESS)
        mine = ours(task, config)
        theirs = textbook(task, config, *SCHEDULES[0])
        for schedule in SCHEDULES[1:]:
            if theirs["reached"] or theirs["capped"]:
                break
            theirs = textbook(task, config, *schedule)
        bound = "" if theirs["reached"] else "at least "
        print(f"  d = {dim}, N = {shots}")
        said = "reached" if mine["reached"] else "NOT REACHED"
        print(f"    ours      {mine['later']:7.3f} s, compiling {mine['first']:7.3f} s; steps {mine['steps']}, {said}")
        with_compile = theirs["seconds"] + theirs["compile"]
        print(
            f"    textbook  {bound}{theirs['seconds']:.3f} s, compiling {with_compile:.3f} s; {theirs['steps']} steps"
        )
        print(
            f"    ratio     {bound}{theirs['seconds'] / mine['later']:.1f} without, "
            f"{bound}{with_compile / mine['first']:.1f} with compilation  (target 10)"
        )


def interleaved(works: Sequence[Callable[[], object]]) -> list[float]:
    """Least seconds of each of several works, taken in turns, after one round that is not counted."""
    for work in works:
        work()
    return [min(times) for times in zip(*[[seconds(work) for work in works] for _ in range(REPEATS)], strict=True)]


def cost_against_shots() -> None:
    """(b)"""
    print("(b) milliseconds per step at d = 20, 8 seeds, batch 64")
    for layers, steps in ((1, 100), (4, 20)):
        task = LinearRegression(20)
        runs = [partial(train, task, 0, layers=layers, shots=shots, steps=steps) for shots in (40, 4000)]
        few, many = (1e3 * t / steps for t in interleaved(runs))
        print(f"  {layers} layers: N = 40 {few:.2f}, N = 4000 {many:.2f}, ratio {many / few:.2f}  (target 1.2)")


def compile_seconds(task: LinearRegression, config: CheckedConfig) -> float:
    """Tracing and compiling one chunk, the least of three."""
    rng = np.random.default_rng(0)
    model = initial_weights(rng, config, task.token_dim)
    source = MomentSource(task, config.shots)
    draws = draw_chunk(rng, config, chunk_length(config, source.entries), source)
    data = np.float32(task.input_root), np.float32(task.covariance), np.float32(0), config.shots
    schedule = config.steps, config.learning_rate, config.clip_norm
    state, times = initial_optimizer(model), []
    for _ in range(3):
        jax.clear_caches()
        times.append(seconds(lambda: run_chunk.lower(model, state, draws, data, schedule).compile()))
    return min(times)


def ensemble() -> None:
    """(c)"""
    print("(c) milliseconds per seed and step, and compile seconds, of 64 seeds and of one; batch 64")
    for dim, shots, layers, steps in ((5, 20, 1, 200), (5, 20, 4, 40), (20, 40, 1, 40), (20, 40, 4, 10)):
        task = LinearRegression(dim)
        runs = [partial(train, task, 0, layers=layers, shots=shots, steps=steps, seeds=seeds) for seeds in (1, 64)]
        one, many = interleaved(runs)
        one, many = 1e3 * one / steps, 1e3 * many / steps / 64
        compiled = [compile_seconds(task, settings(layers, shots, steps, seeds)) for seeds in (1, 64)]
        print(
            f"  d = {dim}, {layers} layers: {many:.3f} and {one:.3f}, ratio {many / one:.2f} (target 1); "
            f"compiling {compiled[1]:.2f} and {compiled[0]:.2f} s, ratio {compiled[1] / compiled[0]:.2f}"
        )


def memory() -> None:
    """(d)"""
    command = [sys.executable, __file__, "--deep"]
    peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"(d) peak memory, 12 layers, d = 20, 16 seeds, batch 64: {peak:.2f} GiB  (target 2)")


def main() -> int:
    """Measure and print; with --deep only the work of (d)."""
    if "--deep" in sys.argv:
        train(LinearRegression(20), 0, layers=12, shots=40, steps=20, seeds=16)
        print(resident_gib())
        return 0
    print(f"jax {jax.__version__} on {jax.devices()[0].device_kind}")
    for part in (time_to_optimum, cost_against_shots, ensemble, memory):
        part()
    return 0


if __name__ == "__main__":
    sys.exit(main())
