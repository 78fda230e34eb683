"""Weights of trained models for the interactive page: one of each depth, with the settings that made them.

Writes icl_theory/lessons/page/trained.json. Run it again when training changes; a test compares their risk with the
best one-layer model and with gradient descent.
"""

import json
from pathlib import Path

import numpy as np

from icl_theory import LinearRegression, population_risk, train

SHOTS, STEPS, SEEDS, NOISE = 12, 3000, 4, 0.2
SETTINGS = {"shots": SHOTS, "steps": STEPS, "seeds": SEEDS, "noise_std": NOISE}
OUT = Path(__file__).parents[1] / "icl_theory" / "lessons" / "page" / "trained.json"
DIGITS = 6


def main() -> None:
    """Train, keep the member with the least risk of each depth, round."""
    task = LinearRegression(2, noise_std=NOISE)
    models = {}
    for layers in (1, 2, 3, 4):
        found = train(task, 0, layers=layers, shots=SHOTS, steps=STEPS, seeds=SEEDS).models
        risks = [population_risk(found.member(s), task, shots=SHOTS).value for s in range(SEEDS)]
        best = found.member(int(np.argmin(risks)))
        print(layers, "layers: risks", np.round(risks, 4))
        names = ("value", "key", "query")
        models[layers] = [
            {name: np.asarray(getattr(best, name)[t], dtype=float).round(DIGITS).tolist() for name in names}
            for t in range(layers)
        ]
    OUT.write_text(json.dumps({"settings": SETTINGS, "models": models}, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
