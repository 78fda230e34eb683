"""The share of seeds that train, at 1 to 8 linear layers, under the schedule that `train` takes when none is given.

A seed counts as trained if its risk on prompts it has never seen is at most that of as many plain gradient steps, the
step size being the best one: those steps are among the models it chooses from. The risk is a mean over PROMPTS
prompts; a model that explodes on one of them does not count.

python experiments/training_reliability.py [--out FILE.json] [--layers 1 2 3]
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from icl_theory import LinearRegression, population_risk, train
from icl_theory.descent.gradient_descent import gradient_steps
from icl_theory.descent.implied_weights import quadratic_loss

DIM, SHOTS, SEEDS, PROMPTS, KEY = 5, 20, 16, 8192, 0
TASK = LinearRegression(DIM)


def descent_risk(layers: int) -> float:
    """Risk of `layers` plain gradient steps, the step size fitted on other prompts."""
    rng = np.random.default_rng(KEY)
    (fit, w_fit), (score, w_score) = (TASK.sample_moments(rng, PROMPTS, SHOTS) for _ in range(2))

    def risk(eta: float, moments: np.ndarray, w: np.ndarray) -> float:
        steps = gradient_steps(moments, np.eye(DIM), eta, layers)[0]
        return float(quadratic_loss(steps[:, -1], w, TASK.covariance).mean())

    best = minimize_scalar(lambda eta: risk(eta, fit, w_fit), bounds=(0.0, 2.0), method="bounded")
    return risk(float(best.x), score, w_score)  # pyright: ignore[reportAttributeAccessIssue]


def measure(layers: int) -> dict:
    """One record: the share, the risks of all seeds and what they are compared with."""
    start = time.perf_counter()
    result = train(TASK, KEY, layers=layers, shots=SHOTS, seeds=SEEDS)
    seconds, reference = time.perf_counter() - start, descent_risk(layers)
    members = (result.models.member(seed) for seed in range(SEEDS))
    risks = [population_risk(m, TASK, shots=SHOTS, samples=PROMPTS, key=KEY + 1).value for m in members]
    # One layer is one gradient step of the best kind: there the two risks are equal but for sampling.
    limit = 1.02 * reference if layers == 1 else reference
    trained = int(np.sum(np.array(risks) <= limit))
    return {
        "layers": layers,
        "trained": trained,
        "seeds": SEEDS,
        "descent_risk": reference,
        "risks": risks,
        "steps": result.config.steps,
        "learning_rate": result.config.learning_rate,
        "seconds": seconds,
    }


def main() -> int:
    """Print a line per depth; write the records if a directory is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file for the records; an existing one is left alone")
    parser.add_argument("--layers", type=int, nargs="+", default=list(range(1, 9)))
    arguments = parser.parse_args()
    if arguments.out is not None and arguments.out.exists():
        parser.error(f"--out: got {arguments.out}, which exists, expected a new file; choose another name")
    records = []
    for layers in arguments.layers:
        record = measure(layers)
        records.append(record)
        middle = np.median(record["risks"])
        print(
            f"{layers} layers: {record['trained']} of {SEEDS} seeds trained; median risk {middle:.3g}, "
            f"largest {max(record['risks']):.3g}, gradient descent {record['descent_risk']:.3g}; "
            f"{record['steps']} steps, {record['seconds']:.0f} s",
            flush=True,
        )
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
