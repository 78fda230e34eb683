"""Data of bounds, noise and counterexamples."""

from typing import Any

import numpy as np

from icl_theory.claims.quantities.scalar_counterexample import printed, repaired, simulate
from icl_theory.core.estimate import Estimate
from icl_theory.core.progress import Progress
from icl_theory.information.ladder.task_average import average_ladder
from icl_theory.models.constructions import gradient_descent_weights
from icl_theory.noise.normality import normality_audit
from icl_theory.records.documents import to_plain
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.train import train
from icl_theory.truncation.rank_sweep import rank_sweep
from icl_theory.truncation.risk_curves import truncation_curves

NOISE, CLIP = 0.5, 4.0
RUNGS = (
    *("readout_sample", "readout", "mutual_information", "gaussian"),
    *("isotropic", "theorem_2_repaired"),
)


def sweep(seed: int, seeds: int, progress: Progress) -> dict[str, Any]:
    """Bound against rank of a trained one-layer model, for W_V, W_K and W_Q."""
    task = LinearRegression(5, noise_std=NOISE)
    models = train(task, seed, layers=1, shots=20, seeds=min(seeds, 4), steps=400).models
    options: dict[str, Any] = {"demonstrations": 80, "shots": 20, "clip": CLIP, "samples": 512, "tasks": 2}
    entries = rank_sweep(models, task, key=seed, modules=("value", "key", "query"), progress=progress, **options)
    return {"sweep": to_plain(list(entries)), "rungs": list(RUNGS)}


def information_and_dimension(seed: int, seeds: int, progress: Progress) -> dict[str, Any]:
    """Nats about the demonstrations by d_x: Gaussian rung, all of W, readout; a trained model of one layer."""
    dims = [1, 2, 3, 5, 7]
    names = {"gaussian": "Gaussian prior, all of W", "mutual_information": "all of W", "readout": "readout of the loss"}
    values: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for done, dim in enumerate(dims):
        task = LinearRegression(dim, noise_std=NOISE)
        model = train(task, seed, layers=1, shots=40, seeds=1, steps=400).models.member(0)
        found = average_ladder(
            model, task, demonstrations=160, shots=40, clip=CLIP, samples=512, tasks=max(seeds // 2, 2), key=seed
        )
        for name in names:
            nats = np.array([ladder.information[name].value for ladder in found.ladders])
            values[name].append((float(nats.mean()), float(nats.std(ddof=1) / np.sqrt(len(nats)))))
        progress("information by dimension", done + 1, len(dims))
    lines = [
        {"label": label, "mean": [mean for mean, _ in values[name]], "stderr": [error for _, error in values[name]]}
        for name, label in names.items()
    ]
    return {"dims": dims, "series": lines}


def truncation_trap(seed: int, seeds: int, progress: Progress) -> dict[str, Any]:
    """Exact risks of the one-layer optimum at every rank, for anisotropic inputs; nothing is random."""
    del seed, seeds, progress
    task = LinearRegression(5, np.diag([4.0, 2.0, 1.0, 0.5, 0.25]), noise_std=NOISE)
    curves = truncation_curves(task, shots=20)
    lines = {
        "best matrix of that rank": curves.best,
        "cut in the metric of the data": curves.whitened,
        "cut by its own SVD": curves.plain,
    }
    return {
        "ranks": list(range(len(curves.best))),
        "series": [{"label": label, "mean": curve.tolist()} for label, curve in lines.items()],
    }


def theorem_2(seed: int, seeds: int, progress: Progress) -> dict[str, Any]:
    """Gap and bounds of the scalar counterexample by the spread of log h²."""
    lengths = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
    found: dict[str, list[Estimate]] = {"gap": [], "Theorem 2 as printed": [], "Theorem 2, repaired": []}
    for done, length in enumerate(lengths):
        runs = simulate(seed, 50_000 * seeds, length)
        for line, number in zip(found.values(), (runs.gap, printed(runs), repaired(runs, length)), strict=True):
            line.append(number)
        progress("counterexample to Theorem 2", done + 1, len(lengths))
    lines = [
        {"label": label, "mean": [n.value for n in numbers], "stderr": [n.stderr for n in numbers]}
        for label, numbers in found.items()
    ]
    return {"lengths": lengths, "series": lines}


def noise_quantiles(seed: int, seeds: int, progress: Progress) -> dict[str, Any]:
    """Quantiles of the noise of one layer of gradient descent, d_x = 2, for several b of N = 60; of one set."""
    del seeds, progress
    task, demonstrations = LinearRegression(2, noise_std=NOISE), 60
    rng = np.random.default_rng(seed)
    tokens = task.sample_tokens(rng, task.sample_tasks(rng, 1), demonstrations)[0]
    model = gradient_descent_weights(2, layers=1, step_size=0.5)
    records = normality_audit(model, tokens, shots=[2, 10, 30], samples=400, key=seed)
    shown = [{"shots": r.shots, "quantiles": r.quantiles.tolist(), "distances": r.distances.tolist()} for r in records]
    return {"demonstrations": demonstrations, "panels": shown}
