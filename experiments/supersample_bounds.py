"""Bounds for the deterministic forward pass of trained and constructed models, and the measured gap; two minutes.

python experiments/supersample_bounds.py --out runs/supersample_bounds
"""

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Model,
    OneHotClassification,
    Task,
    gradient_descent_weights,
    one_layer_optimum,
    supersample_bounds,
    train,
)
from icl_theory.information.supersample.supersample_bounds import RUNGS
from icl_theory.records.files import write_json
from icl_theory.runs.directory import from_arguments

DIM, SEED, SUPERSAMPLES, CLIP = 5, 0, 200, 4.0
DEMONSTRATIONS = (5, 10, 20, 40)
TRAINING_SHOTS, STEPS, FAMILY_STEPS = 20, {1: 1000, 3: 2000}, 1500
REGRESSION, CLASSES = LinearRegression(DIM, noise_std=0.5), LinearClassification(DIM, flip_probability=0.1)
ONE_HOT = OneHotClassification(DIM, 3)


FAMILY: dict[str, dict[str, Any]] = {
    "softmax, L=2": {"kind": "softmax"},
    "causal mask, L=2": {"mask": "causal"},
    "ReLU, L=2": {"hidden": 2 * (DIM + 1), "activation": "relu"},
    "two heads, L=2": {"heads": 2},
}
"""What is trained besides plain linear attention; all but the sizes are options of its forward pass as well."""
SIZES = ("hidden", "heads")


def models() -> Iterator[tuple[str, Model, Task, dict[str, Any]]]:
    """Name, weights, task, and the loss with its rounding and the options of the forward pass."""
    clipped = {"loss": "clipped_squared", "clip": CLIP}
    for layers, steps in STEPS.items():
        result = train(REGRESSION, SEED, layers=layers, shots=TRAINING_SHOTS, steps=steps, seeds=1)
        for levels in (2, 8, None):
            yield f"trained, L={layers}", result.models.member(0), REGRESSION, clipped | {"levels": levels}
    for name, options in FAMILY.items():
        result = train(REGRESSION, SEED, layers=2, shots=TRAINING_SHOTS, steps=FAMILY_STEPS, seeds=1, **options)
        forward = {key: value for key, value in options.items() if key not in SIZES}
        yield name, result.models.member(0), REGRESSION, clipped | forward
    optimum = one_layer_optimum(CLASSES, shots=TRAINING_SHOTS)[0]
    yield "optimum, classes", optimum, CLASSES, {"loss": "zero_one"}
    descent = gradient_descent_weights(DIM, layers=3, step_size=0.5)
    yield "descent, L=3, classes", descent, CLASSES, {"loss": "zero_one"}
    yield "one-hot optimum", one_layer_optimum(ONE_HOT, shots=TRAINING_SHOTS)[0], ONE_HOT, {"loss": "zero_one"}


def main() -> int:
    """Print the table and write `records.json`; 1 if a bound lies below its gap by six standard errors."""
    out = from_arguments(__doc__, "runs/supersample_bounds")
    title = f"{SUPERSAMPLES} supersamples; bounds of 1 (0-1 loss) and {CLIP:g} (clipped) say nothing"
    table, records, sound = Table("model", "levels", "N", "gap", *RUNGS, title=title), [], True
    for name, model, task, options in models():
        for count in DEMONSTRATIONS:
            result = supersample_bounds(
                model, task, demonstrations=count, supersamples=SUPERSAMPLES, key=SEED, **options
            )
            bounds = [result.rungs[rung] for rung in RUNGS]
            sound = sound and all(b.value + 6 * (b.stderr + result.gap.stderr) >= result.gap.value for b in bounds)
            levels = str(options.get("levels", 2))
            table.add_row(name, levels, str(count), *(f"{e.value:.3f} ± {e.stderr:.1g}" for e in (result.gap, *bounds)))
            plain = {"gap": result.gap, "rungs": result.rungs, "information": result.information}
            records.append({"model": name, "levels": levels, "demonstrations": count} | plain)
    Console(width=140).print(table)
    print(write_json(out / "records.json", {"seed": SEED, "records": records}), file=sys.stderr)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
