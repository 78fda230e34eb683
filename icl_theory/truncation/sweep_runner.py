"""What a rank sweep does for one set of weights: common draws, the comparison with the untouched one, the record."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.information.forward_pass.bounds import ForwardPassBounds, forward_pass_bounds
from icl_theory.information.ladder.bound_ladder import BoundLadder, ladder_of
from icl_theory.information.ladder.large_sample_limit import observation_information
from icl_theory.information.ladder.losses import BoundedLoss
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.rungs import RUNGS
from icl_theory.information.ladder.setting import Setting
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.models.options import Components, Module
from icl_theory.risk.population import risk_and_losses
from icl_theory.tasks.base import Task
from icl_theory.truncation.module_truncation import Layers, ModuleTruncations

_PAIRED = {"gap": "gap", "population": "population_loss", "sandwich_lower": "sandwich_lower"} | {
    name: name for name in RUNGS if name != "theorem_2_printed"
}
"""Per-sample terms of a ladder and what their paired difference is called in a record."""
_PASSES = 1024  # forward passes behind a gap: they cost little beside the ladder


def _plain(estimate: Estimate) -> dict[str, Any]:
    """An estimate as a plain dictionary for a record."""
    plain = {"value": estimate.value, "stderr": estimate.stderr, "direction": estimate.direction}
    return plain | ({"note": estimate.note} if estimate.note else {})


def _difference(value: float, stderr: float) -> dict[str, Any]:
    return {"value": value, "stderr": stderr, "interval": list(Estimate(value, stderr).interval())}


def _differences(after: "_Entry", before: "_Entry") -> dict[str, dict[str, Any]]:
    """Differences after - before with their 95 % intervals, in nats for rungs.

    Both ran on the same draws, so most of the sampling noise cancels. A rung that is infinite, or that had another
    number of pairs, has no such difference and is left out.
    """
    result = {}
    for name, called in _PAIRED.items():
        pair = after.ladder.terms.get(name), before.ladder.terms.get(name)
        if pair[0] is not None and pair[1] is not None and len(pair[0]) == len(pair[1]):
            result[called] = _paired(pair[0], pair[1])
    if after.losses is None or before.losses is None:
        result["population_risk"] = _difference(after.risk.value - before.risk.value, 0.0)
    elif np.isfinite(after.losses).all() and np.isfinite(before.losses).all():
        result["population_risk"] = _paired(after.losses, before.losses)
    return result


def _paired(after: np.ndarray, before: np.ndarray) -> dict[str, Any]:
    change = Estimate.from_samples(after - before)
    return _difference(change.value, change.stderr)


class _Entry(NamedTuple):
    """What is computed for one set of weights."""

    ladder: BoundLadder
    risk: Estimate
    losses: np.ndarray | None
    """The draws behind `risk`, None where it is exact."""
    forward_pass: ForwardPassBounds | None
    """None where it is not known."""


class Cuts:
    """The members, and what is truncated of them: one decomposition serves every rank and every task."""

    def __init__(self, members: list[Model], task: Task, components: Components) -> None:
        self.models = [checked(member, task.token_dim) for member in members]
        self._components: Components = components
        self._curves: dict[tuple[int, Layers, Module], ModuleTruncations] = {}
        self._made: dict[tuple[int, Layers, Module, int], Model] = {}

    def of(self, index: int, layer: Layers, module: Module, rank: int) -> Model:
        """Member `index` with a module of a layer, or of several, truncated. The same object for every task."""
        curve: tuple[int, Layers, Module] = (index, layer, module)
        place: tuple[int, Layers, Module, int] = (*curve, rank)
        if curve not in self._curves:
            options: Any = {"layer": layer, "module": module, "components": self._components}
            self._curves[curve] = ModuleTruncations(self.models[index], **options)
        if place not in self._made:
            self._made[place] = self._curves[curve][rank]
        return self._made[place]


class Risks:
    """Population risks, which are over all tasks: once for each model."""

    def __init__(self, task: Task, shots: int, samples: int, key: int) -> None:
        self._task, self._options = task, {"shots": shots, "samples": samples, "key": key}
        self._known: dict[int, tuple[Model, tuple[Estimate, np.ndarray | None]]] = {}

    def of(self, model: Model) -> tuple[Estimate, np.ndarray | None]:
        """As `risk_and_losses`. The model is kept, so that no other has its number."""
        if id(model) not in self._known:
            self._known[id(model)] = model, risk_and_losses(model, self._task, **self._options)
        return self._known[id(model)][1]


@dataclass(frozen=True)
class Runner:
    """Runs one model, truncated and untouched, on common draws."""

    model: Model
    """Untouched."""
    full: Setting
    batches: Batches
    loss: tuple[float, BoundedLoss]
    """Clip and kind of loss."""
    risks: Risks
    seed: int
    untouched: dict[int | None, _Entry] = field(default_factory=dict)

    def entry(self, model: Model, pairs: int | None) -> _Entry:
        clip, loss = self.loss
        setting = self.full.with_model(model)
        ladder = ladder_of(setting, self.batches, clip, pairs, loss)
        return _Entry(ladder, *self.risks.of(model), self._forward_pass(setting, clip, loss))

    def _forward_pass(self, setting: Setting, clip: float, loss: BoundedLoss) -> ForwardPassBounds | None:
        """Bounds on the pass itself, on its own draws; None where S is not Wishart, behind a ReLU, or in doubt."""
        if not setting.law.gaussian or setting.mlp is not None or setting.shots < 2:
            return None
        options: Any = {"demonstrations": setting.demonstrations, "shots": setting.shots, "samples": _PASSES}
        options |= {"clip": clip, "loss": loss, "task_vector": setting.task_vector, "key": self.seed % 2**31}
        try:
            return forward_pass_bounds(setting.model, setting.task, **options)  # pyright: ignore[reportArgumentType]
        except checks.InvalidInputError:  # the ladder knows ranks that this reads off products
            return None

    def before(self, pairs: int | None, after: _Entry) -> _Entry:
        """The untouched model, its sandwich of as many pairs as that of `after`, so that their pairs match."""
        if pairs not in self.untouched:
            self.untouched[pairs] = self.entry(self.model, pairs)
        count = after.ladder.sandwich.upper.samples
        if 0 < count < self.untouched[pairs].ladder.sandwich.upper.samples:
            return self.before(count, after)
        return self.untouched[pairs]


def record_of(entry: _Entry, before: _Entry, setting: Setting) -> dict[str, Any]:
    """What `rank_sweep` records of a truncated model beside its place, with the changes from the untouched one."""
    ladder, risk = entry.ladder, entry.risk
    return {
        "support": list(ladder.support),
        "gap": _plain(ladder.gap),
        "population_loss": _plain(ladder.population_loss),
        "population_risk": _plain(risk),
        "rungs": {name: _plain(rung) for name, rung in ladder.rungs.items()},
        "information": {name: _plain(rung) for name, rung in ladder.information.items()},
        "sandwich": {
            "lower": _plain(ladder.sandwich.lower),
            "upper": _plain(ladder.sandwich.upper),
            "saturated": ladder.sandwich.saturated,
        },
        "trivial": ladder.trivial,
        "large_sample": sum(observation_information(d, setting.demonstrations, setting.shots) for d in ladder.support),
        "change": _differences(entry, before),
    } | _forward_record(entry.forward_pass)


def _forward_record(found: ForwardPassBounds | None) -> dict[str, Any]:
    if found is None:
        return {}
    rungs = {name: _plain(rung) for name, rung in found.kl_rungs.items()}
    return {"forward_pass": {"gap": _plain(found.gap), "rungs": rungs}}
