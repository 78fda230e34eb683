"""What one supersample costs at D = 6, L = 2, all 2^N selections: against one prompt per selection and token.

The baseline calls `predict` on 2N 2^N prompts per supersample, in one batch. Exit status 1 if the results differ, or if
the baseline is not slower than the forward passes of `selection_predictions` in every case.
"""

import sys
from typing import Any

import numpy as np
from measuring import median_seconds
from rich.console import Console
from rich.table import Table

from icl_theory import LinearRegression, Model, Prompt, predict, random_weights, supersample_bounds
from icl_theory.information.supersample.predictions import selection_predictions
from icl_theory.information.supersample.selection_information import selections

DIM, LAYERS, REPEATS = 5, 2, 5
SUPERSAMPLES = {8: 32, 12: 8}
MODELS: dict[str, dict[str, str]] = {
    "linear": {},
    "softmax": {"kind": "softmax"},
    "linear, causal": {"mask": "causal"},
    "softmax, causal": {"kind": "softmax", "mask": "causal"},
    "linear, ReLU": {"activation": "relu"},
}
TASK = LinearRegression(DIM, noise_std=0.5)


def drawn(name: str, options: dict[str, str]) -> Model:
    """Random weights, with an MLP of twice the width where there is a ReLU."""
    model, width = random_weights(0, layers=LAYERS, token_dim=DIM + 1, scale=1.0).replace(**options), DIM + 1
    if "ReLU" not in name:
        return model
    inner, outer = np.random.default_rng(0).standard_normal((2, LAYERS, 2 * width, width)) / np.sqrt(width)
    return model.replace(mlp_in=inner, mlp_out=outer.swapaxes(1, 2))


def prompt_by_prompt(model: Model, pairs: np.ndarray, bits: np.ndarray) -> Any:
    """The predictions for one supersample (N, 2, D), every selection repeated for every query token."""
    count, runs = len(pairs), len(bits)
    shown = np.repeat(pairs[np.arange(count), bits.astype(np.int64)], 2 * count, axis=0)
    asked = np.tile(pairs.reshape(2 * count, -1)[:, :-1], (runs, 1))
    prompt = Prompt(shown[..., :-1], shown[..., -1], asked, np.zeros(len(asked)))
    return predict(model, prompt).reshape(runs, count, 2)


def main() -> int:
    """Measure and print."""
    title = f"milliseconds per supersample, D = {DIM + 1}, L = {LAYERS}"
    table, good = Table("model", "N", "bounds", "forward passes", "prompt by prompt", "ratio", title=title), True
    for (name, options), (count, size) in ((m, s) for m in MODELS.items() for s in SUPERSAMPLES.items()):
        model, rng = drawn(name, options), np.random.default_rng(0)
        tokens = TASK.sample_tokens(rng, np.repeat(TASK.sample_tasks(rng, 1), size, axis=0), 2 * count)
        pairs, bits = tokens.reshape(size, count, 2, -1), selections(count, None, rng)

        def together(model=model, pairs=pairs, bits=bits) -> np.ndarray:
            return selection_predictions(model, pairs, bits)[..., 0]

        def apart(model=model, pairs=pairs, bits=bits) -> Any:
            return prompt_by_prompt(model, pairs[0], bits)

        def whole(model=model, count=count, size=size) -> Any:
            return supersample_bounds(model, TASK, key=0, demonstrations=count, supersamples=size)

        same = np.allclose(together()[0], apart(), rtol=1e-9, atol=1e-9)
        times = [1e3 * median_seconds(work, REPEATS, warm=True) for work in (whole, together, apart)]
        bounds, passes, baseline = times[0] / size, times[1] / size, times[2]
        good = good and same and baseline > passes
        ratio = f"{baseline / passes:.1f}" if same else "DIFFERENT"
        table.add_row(name, str(count), f"{bounds:.2f}", f"{passes:.2f}", f"{baseline:.1f}", ratio)
    Console(width=100).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
