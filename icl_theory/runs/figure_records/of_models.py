"""Data of trained models against references; every seed trains a model of its own."""

from typing import Any

import numpy as np

from icl_theory.core.progress import Progress
from icl_theory.descent.agreement import Scheme, gradient_descent_agreement
from icl_theory.models.model import Model
from icl_theory.risk.baselines import bayes_risk, least_squares_risk
from icl_theory.risk.population import population_risk
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.config import TrainConfig
from icl_theory.training.ensemble import checked_config, initial_weights
from icl_theory.training.train import train
from icl_theory.truncation.module_truncation import ModuleTruncations

DIM, NOISE, SHOTS = 5, 0.5, 20
STEPS = (0, 25, 50, 100, 200, 400, 800)
SHOWN = (1, 2, 4, 6, 8, 12, 20, 40)
WIDE, TASK_RANK = 10, 3


def _members(task: LinearRegression, seed: int, seeds: int, layers: int, steps: int) -> list[Model]:
    """Models of so many steps, each run with a schedule of its own; without steps the initial weights."""
    if steps == 0:
        config = checked_config(TrainConfig(layers=layers, shots=SHOTS, seeds=seeds, steps=1))
        models = initial_weights(np.random.default_rng(seed), config, task.token_dim)
    else:
        models = train(task, seed, layers=layers, shots=SHOTS, seeds=seeds, steps=steps).models
    return [models.member(number) for number in range(seeds)]


def _mean(values: list[list[float]]) -> dict[str, Any]:
    """Mean and standard error over seeds for every place; `values` by place and seed."""
    array = np.array(values)
    return {
        "mean": array.mean(axis=1).tolist(),
        "stderr": (array.std(axis=1, ddof=1) / np.sqrt(array.shape[1])).tolist(),
    }


def least_squares(seed: int, seeds: int, progress: Progress) -> dict[str, Any]:
    """Risks of models with one and three layers, of least squares and of ridge (Bayes), by N and by steps."""
    task = LinearRegression(DIM, noise_std=NOISE)
    trained: dict[int, list[list[Model]]] = {}
    for layers in (1, 3):
        trained[layers] = []
        for done, steps in enumerate(STEPS):
            trained[layers].append(_members(task, seed, seeds, layers, steps))
            progress(f"least squares: {layers} layers", done + 1, len(STEPS))
    by_shots = [
        _line(f"trained, {layers} layer{'s' * (layers > 1)}", look)
        | _mean([[_risk(m, task, shots, seed) for m in models[-1]] for shots in SHOWN])
        for look, (layers, models) in enumerate(trained.items())
    ]
    for look, (label, risk) in enumerate(
        (("least squares", least_squares_risk), ("ridge (Bayes)", bayes_risk)), start=2
    ):
        by_shots.append(_line(label, look) | {"mean": [risk(task, shots=n).value for n in SHOWN], "stderr": None})
    by_steps = [
        _line(f"trained, {layers} layer{'s' * (layers > 1)}", look)
        | _mean([[_risk(m, task, SHOTS, seed) for m in members] for members in models])
        for look, (layers, models) in enumerate(trained.items())
    ]
    for line in by_shots[2:]:
        at = line["mean"][SHOWN.index(SHOTS)]
        by_steps.append(_line(line["label"], line["look"]) | {"mean": [at] * len(STEPS), "stderr": None})
    return {
        "dim": DIM,
        "zero_risk": task.zero_risk,
        "shots": {"places": list(SHOWN), "series": by_shots},
        "steps": {"places": list(STEPS), "series": by_steps},
    }


def _line(label: str, look: int) -> dict[str, Any]:
    return {"label": label, "look": look}


def _risk(model: Model, task: LinearRegression, shots: int, seed: int) -> float:
    """The risk over tasks with so many demonstrations: exact for one layer, over 4096 common prompts for more."""
    return population_risk(model, task, shots=shots, samples=4096, key=seed).value


def agreement(seed: int, seeds: int, progress: Progress) -> dict[str, Any]:
    """Distance of three-layer models from the best fitting gradient descent and GD++ along training.

    Inputs are isotropic: the best preconditioner is a multiple of I, and preconditioned descent plain descent.
    """
    task = LinearRegression(DIM, noise_std=NOISE)
    schemes: dict[Scheme, str] = {"gd": "gradient descent", "gd++": "GD++"}
    steps = [number for number in STEPS if number]
    found: dict[str, list[list[list[float]]]] = {scheme: [] for scheme in schemes}
    for done, number in enumerate(steps):
        members = _members(task, seed, seeds, 3, number)
        for scheme in schemes:
            layers = [gradient_descent_agreement(m, task, shots=SHOTS, key=seed, scheme=scheme).final for m in members]
            found[scheme].append(
                [[f.prediction_difference.value for f in layers], [f.sensitivity_cosine.value for f in layers]]
            )
        progress("agreement with gradient descent", done + 1, len(steps))
    lines = [
        [{"label": label} | _mean([place[part] for place in found[scheme]]) for scheme, label in schemes.items()]
        for part in range(2)
    ]
    return {"steps": steps, "difference": lines[0], "cosine": lines[1]}


def task_rank(seed: int, seeds: int, progress: Progress) -> dict[str, Any]:
    """Spectrum of W_KᵀW_Q and the rise of the risk by its truncation, d_x = 10 and tasks in three dimensions."""
    task = LinearRegression(
        WIDE, task_covariance=np.diag([1.0] * TASK_RANK + [0.0] * (WIDE - TASK_RANK)), noise_std=NOISE
    )
    models = []
    for done, layers in enumerate((1, 2)):
        members = _members(task, seed, seeds, layers, 1000)
        spectra, rises = [], []
        for member in members:
            products = np.swapaxes(member.key, -1, -2).astype(np.float64) @ member.query
            values = np.linalg.svd(products[0], compute_uv=False)
            spectra.append(values / values[0])
            before = population_risk(member, task, shots=SHOTS, samples=2048, key=seed).value
            cuts = ModuleTruncations(member, layer=range(layers), module="key_query")
            after = [
                population_risk(cuts[r], task, shots=SHOTS, samples=2048, key=seed).value for r in range(1, len(cuts))
            ]
            rises.append(100 * (np.array(after) / before - 1))
        progress("rank of the task", done + 1, 2)
        name = f"{layers} layer{'s, both cut' * (layers > 1)}"
        under = float(np.mean([rise[TASK_RANK - 1] < 1 for rise in rises]))
        models.append(
            {
                "name": name,
                "spectrum": _mean(np.array(spectra).T.tolist()),
                "rise": _mean(np.array(rises).T.tolist()),
                "under_one_per_cent": under,
            }
        )
    return {"rank": TASK_RANK, "models": models}
