"""Weights of trained models for the interactive page: one of each depth, with the settings that made them.

Writes icl_theory/lessons/page/trained.json. Run it again when training changes; a test compares their risk with the
best one-layer model and with gradient descent.
"""

import json
from pathlib import Path

import numpy as np

from icl_theory import LinearRegression, population_risk, train

SETTINGS = {"shots": 12, "steps": 3000, "seeds": 4, "noise_std": 0.2}
OUT = Path(__file__).parents[1] / "icl_theory" / "lessons" / "page" / "trained.json"
DIGITS = 6


def main() -> None:
    """Train, keep the member with the least risk of each depth, round."""
    task = LinearRegression(2, noise_std=SETTINGS["noise_std"])
    models = {}
    for layers in (1, 2, 3, 4):
        options = {name: int(SETTINGS[name]) for name in ("shots", "steps", "seeds")}
        found = train(task, 0, layers=layers, **options).models
        risks = [population_risk(found.member(s), task, shots=options["shots"]).value for s in range(options["seeds"])]
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
