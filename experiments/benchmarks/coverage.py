"""Whether the intervals of gap and information at L = 1 contain the reference value as often as they say.

200 repetitions with seeds of their own. References: the gap and the Gaussian rung from 60 000 runs; the information
of a one-dimensional channel by quadrature over all demonstrations. Exit status 1 where a rate lies more than three
binomial standard errors from its nominal value (below it, for one-sided intervals of the ends of the sandwich).
"""

import math
import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from icl_theory import Estimate, LinearRegression, bound_ladder, one_layer_optimum, random_weights
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting

REPEATS, SAMPLES, REFERENCE = 200, 512, 60_000
ONE_SIDED = 1.645


def information_by_quadrature(scale: float, floor: float, nodes: int = 61) -> float:
    """I(w; H) of w ~ N(mean s, var s + ε²), s_i = scale x_i², x_i standard normal, N = 3, b = 1, in nats."""
    x, weight = np.polynomial.hermite_e.hermegauss(nodes)
    half = x > -1e-12
    s, p = scale * x[half] ** 2, np.where(x[half] > 1e-12, 2.0, 1.0) * weight[half]
    p = p / p.sum()
    values = np.stack(np.meshgrid(s, s, s, indexing="ij"), -1).reshape(-1, 3)
    mass = np.einsum("i,j,k->ijk", p, p, p).ravel()
    mean, variance = values.mean(axis=1), values.var(axis=1) + floor  # (N - b) / (b (N - 1)) is 1
    grid = np.linspace(-8, (mean + 8 * np.sqrt(variance)).max(), 4001)
    density = np.zeros(len(grid))
    for part in np.array_split(np.flatnonzero(mass > 1e-14), 40):
        z = (grid - mean[part, None]) ** 2 / variance[part, None]
        density += mass[part] / np.sqrt(2 * math.pi * variance[part]) @ np.exp(-0.5 * z)
    entropy = -np.trapezoid(density * np.log(np.where(density > 0, density, 1.0)), grid)
    return float(entropy - 0.5 * mass @ np.log(2 * math.pi * math.e * variance))


def scalar_channel() -> tuple[dict, float]:
    """Arguments of a ladder whose channel is one-dimensional (noise-free labels of one input), and its information."""
    task, vector = LinearRegression(1), np.array([0.5])
    model = random_weights(1, layers=1, token_dim=2, scale=1.5)
    probe = Setting(model, task, vector, 3, 1)
    maps = simulate(probe, draw(probe, np.random.default_rng(0), 4)).layers[0].maps
    scale = abs(float(maps[0, 0, 0])) * float(1 + vector @ vector)
    floor = 0.5 * scale**2
    options = {"demonstrations": 3, "shots": 1, "clip": 4.0, "task_vector": vector, "floor": floor}
    return {"weights": model, "task": task} | options, information_by_quadrature(scale, floor)


def covered(estimates: list[Estimate], reference: float) -> float:
    """How often value ± 1.96 standard errors contains the reference."""
    return float(np.mean([low <= reference <= high for low, high in (e.interval() for e in estimates)]))


def row(table: Table, name: str, rate: float, nominal: float, *, at_least: bool = False) -> bool:
    error = math.sqrt(nominal * (1 - nominal) / REPEATS)
    good = rate >= nominal - 3 * error and (at_least or rate <= nominal + 3 * error)
    table.add_row(name, f"{rate:.3f}", f"{'at least ' * at_least}{nominal:.2f} ± {error:.3f}", "yes" if good else "NO")
    return good


def main() -> int:
    """Measure and print."""
    task = LinearRegression(5, noise_std=0.5)
    options = {"demonstrations": 80, "shots": 20, "clip": 4.0, "task_vector": np.full(5, 0.7), "pairs": 16}
    model = one_layer_optimum(task, shots=20)[0]
    whole = bound_ladder(model, task, samples=REFERENCE, key=10**6, **options)
    ladders = [bound_ladder(model, task, samples=SAMPLES, key=key, **options) for key in range(REPEATS)]
    scalar, truth = scalar_channel()
    ends = [bound_ladder(samples=SAMPLES, key=key, **scalar).sandwich for key in range(REPEATS)]
    table = Table("interval", "contains", "nominal", "kept", title=f"{REPEATS} repetitions of {SAMPLES} runs, L = 1")
    gaussian = whole.information["gaussian"].value
    good = [
        row(table, "gap", covered([found.gap for found in ladders], whole.gap.value), 0.95),
        row(table, "clipped risk", covered([f.population_loss for f in ladders], whole.population_loss.value), 0.95),
        row(table, "Gaussian rung", covered([f.information["gaussian"] for f in ladders], gaussian), 0.95),
    ]
    above = np.mean([e.upper.value + ONE_SIDED * e.upper.stderr >= truth for e in ends])
    below = np.mean([e.lower.value - ONE_SIDED * e.lower.stderr <= truth for e in ends])
    both = np.mean([e.lower.interval()[0] <= truth <= e.upper.interval()[1] for e in ends])
    good.append(row(table, "information, upper end from above", float(above), 0.95, at_least=True))
    good.append(row(table, "information, lower end from below", float(below), 0.95, at_least=True))
    good.append(row(table, "information, from end to end", float(both), 0.95, at_least=True))
    Console(width=100).print(table)
    means = np.mean([[e.lower.value, e.upper.value] for e in ends], axis=0)
    print(f"information by quadrature {truth:.4f} nats; mean lower and upper end {means[0]:.4f}, {means[1]:.4f}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
