"""3000 random settings of the ladder: no rung below the information or the gap, every refusal with its cause.

D from 2 to 8, L from 1 to 5, ranks and heads, weights of all sizes, σ from 0 through 1e-12 to 1, b from 1 to N - 1,
clip from 1e-6 to 1e6; 2000 with Gaussian tokens, 1000 with other laws, several outputs, classes or ReLU teachers. A
rung of I(W; H_s) must not lie below the lower end of the sandwich by more than six standard errors, nor any bound below
the measured gap; a number must be finite, or infinite with a note; a refusal must be one of those that are known, with
its cause found in the setting.

python experiments/ladder_settings.py --out runs/ladder_settings
"""

import math
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from icl_theory import (
    BoundLadder,
    Gaussian,
    LinearClassification,
    LinearRegression,
    Mixture,
    Model,
    OneHotClassification,
    ReLUTeacher,
    SparseLinearRegression,
    StudentT,
    Uniform,
    VectorRegression,
    bound_ladder,
    implicit_trajectory,
    truncate_weights,
)
from icl_theory.information.ladder.token_law import token_law
from icl_theory.records.files import write_json
from icl_theory.report.terminal.console import LiveProgress
from icl_theory.runs.directory import from_arguments
from icl_theory.tasks import Task

COUNT, GAUSSIAN, SEED, Z = 3000, 2000, 61, 6.0
LAWS = (Uniform(), StudentT(9), Mixture((1.0, 3.0), (0.9, 0.1)), Gaussian())
OF_THE_PATH = ("mutual_information", "path_information", "path_gaussian", "chain", "gaussian")
OF_THE_PATH += ("isotropic", "isotropic_zero", "theorem_2_repaired")


@dataclass(frozen=True)
class Setting:
    """One call of `bound_ladder`."""

    model: Model
    task: Task
    options: dict[str, Any]


def setting(index: int) -> Setting:
    """The setting of that number, whatever was drawn before it."""
    rng = np.random.default_rng([SEED, index])
    size, layers = int(rng.integers(2, 9)), int(rng.integers(1, 6))
    heads = int(rng.integers(2, 4)) if rng.random() < 0.15 and size <= 5 else None
    shape = (layers, size, size) if heads is None else (layers, heads, size, size)
    scale = 10.0 ** rng.uniform(-3, 1) / math.sqrt(size)
    value, key, query = (scale * rng.standard_normal(shape) for _ in range(3))
    if rng.random() < 0.1:
        value = key = query = np.broadcast_to(np.eye(size), shape)
    model = Model.create(value, key, query, heads=heads)
    for layer in range(layers):
        for name in ("value", "key", "query"):
            if rng.random() < 0.25:
                model = truncate_weights(model, layer=layer, module=name, rank=int(rng.integers(1, size + 1)))
    noise = float(rng.choice([0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0]))
    covariance = np.diag(10.0 ** rng.uniform(-3, 1, size - 1)) if rng.random() < 0.3 else None
    dimension = size * (size + 1) // 2
    total = int(rng.integers(3, 2 * dimension + 12))
    options = {"demonstrations": total, "shots": int(rng.integers(1, total)), "key": index, "samples": 48}
    options |= {"clip": 10.0 ** rng.uniform(-6, 6), "floor": 0.0 if rng.random() < 0.8 else 10.0 ** rng.uniform(-6, 0)}
    if index < GAUSSIAN:
        return Setting(model, LinearRegression(size - 1, noise_std=noise, covariance=covariance), options)
    task, extra = other_task(rng, size, noise)
    return Setting(model, task, options | extra)


def other_task(rng: np.random.Generator, size: int, noise: float) -> tuple[Task, dict[str, Any]]:
    """A task of that token dimension beyond Gaussian linear regression, and options of the ladder that go with it."""
    law, other = (LAWS[int(rng.integers(len(LAWS)))] for _ in range(2))
    kind = rng.choice(["linear", "sparse", "vector", "relu", "classes", "one-hot"])
    loss = {"loss": "zero_one"} if rng.random() < 0.5 else {}
    outputs = int(rng.integers(2, size)) if size > 2 else 0
    if kind == "vector" and outputs:
        return VectorRegression(size - outputs, outputs, noise_std=noise, inputs=law, noise=other), {}
    if kind == "one-hot" and outputs:
        return OneHotClassification(size - outputs, outputs, inputs=law), loss
    if kind == "sparse":
        return SparseLinearRegression(size - 1, nonzero=1, noise_std=noise, inputs=law, noise=other), loss
    if kind == "relu":
        return ReLUTeacher(size - 1, int(rng.integers(1, 9)), noise_std=noise, inputs=law, noise=other), loss
    if kind == "classes":
        return LinearClassification(size - 1, flip_probability=float(rng.choice([0.0, 0.1])), inputs=law), loss
    return LinearRegression(size - 1, noise_std=noise, inputs=law, noise=other), loss


def faults(ladder: BoundLadder) -> list[str]:
    """What is wrong with a ladder, empty if nothing is."""
    found, lower = [], ladder.sandwich.lower
    for name, rung in ladder.rungs.items():
        information = ladder.information[name]
        for estimate in (rung, information, ladder.kl_rungs[name]):
            if math.isnan(estimate.value) or (math.isinf(estimate.value) and not estimate.note):
                found.append(f"{name}: {estimate.value} without a reason")
        bar = Z * math.hypot(information.stderr, lower.stderr)
        if name in OF_THE_PATH and math.isfinite(lower.value) and information.value < lower.value - bar - 1e-9:
            found.append(f"{name}: {information.value:.3f} nats below the lower end {lower.value:.3f}")
        for bound in (rung, ladder.kl_rungs[name]):
            slack = Z * math.hypot(bound.stderr, ladder.gap.stderr) + 1e-9 * ladder.trivial
            if bound.value < ladder.gap.value - slack:
                found.append(f"{name}: bound {bound.value:.3g} below the gap {ladder.gap.value:.3g}")
        if math.isfinite(information.value) and ladder.kl_rungs[name].value > ladder.trivial * (1 + 1e-12):
            found.append(f"{name}: the binary relative entropy form is above c")
    return found


def cause(given: Setting, message: str) -> str:
    """The cause of a refusal as the setting shows it, empty if it does not."""
    if "W_t stays finite" in message:
        return "a trajectory beyond 1e300" if largest_step(given) > 1e150 else ""
    if "beyond a sampled prior" in message:
        tiny = isinstance(given.task, ReLUTeacher) and 0 < given.task.noise_std <= 1e-6
        return "a ReLU teacher with tiny label noise" if tiny else ""
    if "float64 can carry" in message:
        # Several heads and a floor need the map to W itself, whose condition number is a square.
        limit = 1e4 if given.model.heads is not None or given.options["floor"] > 0 else 1e7
        return "an ill-conditioned path in a truncated layer" if condition(given) > limit else ""
    return ""


def paths(given: Setting) -> list[np.ndarray]:
    """M_0, ..., M_L of eight prompts with b demonstrations, each (L + 1, D, D)."""
    rng, result = np.random.default_rng(0), []
    for _ in range(8):
        tokens = given.task.sample_tokens(rng, given.task.sample_tasks(rng, 1), given.options["shots"])[0]
        steps = implicit_trajectory(given.model, tokens).accumulated
        result.append(np.eye(steps.shape[-1]) + steps)
    return result


def condition(given: Setting) -> float:
    """The largest κ₂ of M B before any layer, B a root of the tokens' covariance."""
    rng = np.random.default_rng(1)
    root = token_law(given.task, given.task.sample_tasks(rng, 1)[0]).basis
    return max(float(np.linalg.cond(m @ root)) for path in paths(given) for m in path[:-1])


def largest_step(given: Setting) -> float:
    """The largest entry of M_L; +inf beyond float64."""
    with np.errstate(all="ignore"):
        sizes = [np.abs(path).max() for path in paths(given)]
    return math.inf if not np.isfinite(sizes).all() else float(max(sizes))


def examined(index: int) -> tuple[str, list[str]]:
    """What became of a setting ("finite", "infinite" or the cause of a refusal), and its faults."""
    given = setting(index)
    try:
        ladder = bound_ladder(given.model, given.task, **given.options)
    except ValueError as error:
        found = cause(given, str(error))
        return (f"refused: {found}", []) if found else ("refused", [f"a refusal without its cause: {error}"])
    finite = math.isfinite(ladder.rungs["path_information"].value)
    return "finite" if finite else "infinite", faults(ladder)


def main() -> int:
    """Print how many settings went how, write `records.json`, and return 1 if there was a fault."""
    out, console = from_arguments(__doc__, "runs/ladder_settings"), Console(width=150)
    kinds: Counter[str] = Counter()
    wrong: dict[int, list[str]] = {}
    with LiveProgress() as progress:
        for index in range(COUNT):
            kind, found = examined(index)
            kinds[kind] += 1
            if found:
                wrong[index] = found
            progress("settings", index + 1, COUNT)
    table = Table("outcome", "settings", title=f"{COUNT} random settings of the ladder")
    for kind, count in kinds.most_common():
        table.add_row(kind, str(count))
    console.print(table)
    for index, found in wrong.items():
        console.print(f"setting {index}: {'; '.join(found)}", style="red")
    console.print(f"{len(wrong)} settings with a fault")
    write_json(out / "records.json", {"settings": COUNT, "seed": SEED, "outcomes": dict(kinds), "faults": wrong})
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
