"""Makes the cases of a run: random, constructed, trained and truncated weights."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from icl_theory.claims.engine.cases import DIM, MLP_WIDTH, TRAINING_SHOTS, Case
from icl_theory.claims.engine.profiles import PROFILES, Profile, ProfileName
from icl_theory.claims.engine.trained_ensembles import Kind, TrainedEnsembles
from icl_theory.core import checks
from icl_theory.core.progress import Progress
from icl_theory.models.checked import checked
from icl_theory.models.constructions import gradient_descent_weights, one_layer_optimum, random_weights
from icl_theory.models.model import Model
from icl_theory.models.options import Module, Readout
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.train import TrainResult
from icl_theory.truncation.module_truncation import truncate_weights


class CaseFactory:
    """Makes the cases of one run; trains its ensembles once, when a claim first needs them.

    Args:
        profile: "quick" or "full", or a `Profile`: how many seeds and samples, and how long to train.
        seed: seed of everything random; equal seeds give equal cases.
        progress: called with (text, done, total) during training.

    Raises: ValueError for an unknown profile or a seed out of range.

    Example:
        >>> from icl_theory.claims import CaseFactory
        >>> [case.name for case in CaseFactory("quick", seed=0).constructed(layers=1)]
        ['gradient descent, L=1', 'one-layer optimum']
    """

    def __init__(
        self,
        profile: Profile | ProfileName = "quick",
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        if isinstance(profile, str):
            profile = PROFILES[checks.choice("profile", profile, tuple(PROFILES))]
        self.profile, self.seed = profile, checks.integer("seed", seed, 0, 2**31 - 1, "pass a whole number")
        self.task = LinearRegression(DIM, noise_std=0.5)
        self.ensembles = TrainedEnsembles(
            self.task,
            seed,
            shots=TRAINING_SHOTS,
            seeds=max(profile.seeds, profile.trained_seeds),
            # Models with an MLP are trained for as many steps as those of one layer.
            steps=lambda kind: profile.steps[1 if kind.hidden else kind.layers],
            progress=progress,
        )
        self._made: dict[tuple[str, int, int], list[Case]] = {}

    def _data(self, name: str, kind: str, seed: int, model: Model) -> Case:
        rng = np.random.default_rng([self.seed, seed])
        w = self.task.sample_tasks(rng, 1)
        tokens = self.task.sample_tokens(rng, w, TRAINING_SHOTS)[0]
        number = int(rng.integers(2**31))
        return Case(name, kind, number, checked(model), self.task, w[0], tokens, samples=self.profile.samples)

    def ensemble(self, layers: int, hidden: int = 0, readout: Readout = "minus") -> TrainResult:
        """The trained ensemble of this run: all seeds of the population, with a linear MLP if `hidden` is its width.

        Every seed has initial weights and prompts of its own, so that the members are independent draws.

        Args:
            layers: L.
            hidden: width of the linear MLP; 0: none.
            readout: "minus" or "plus".
        """
        return self.ensembles.get(Kind(layers, hidden, readout))

    def close(self) -> None:
        """End the factory: training that is not finished is stopped."""
        self.ensembles.close()

    def train_ahead(self) -> None:
        """Begin all the training that a run over every claim needs, in the order of need; do not wait."""
        self.ensembles.begin(Kind(3), Kind(1), Kind(3, MLP_WIDTH), Kind(3, readout="plus"))

    def random(self, layers: int) -> list[Case]:
        """Random weights, one case per seed; the same objects at every call, so that their ladders are shared.

        Args:
            layers: L.
        """
        return self._once("random", layers, self._random)

    def _once(self, kind: str, layers: int, make: Callable[..., list[Case]], *hidden: int) -> list[Case]:
        place = (kind, layers, sum(hidden))
        if place not in self._made:
            self._made[place] = make(layers, *hidden)
        return self._made[place]

    def _random(self, layers: int) -> list[Case]:
        dimension = self.task.token_dim
        cases = []
        for seed in range(self.profile.seeds):
            number = int(np.random.default_rng([self.seed, layers, seed]).integers(2**31))
            model = random_weights(number, layers=layers, token_dim=dimension, scale=1.5 if layers == 1 else 0.4)
            cases.append(self._data(f"random, L={layers}, seed {seed}", "random", 100 * layers + seed, model))
        return cases

    def constructed(self, layers: int) -> list[Case]:
        """Gradient descent in weights, and at one layer the closed-form optimum.

        Args:
            layers: L.
        """
        return self._once("constructed", layers, self._constructed)

    def _constructed(self, layers: int) -> list[Case]:
        descent = gradient_descent_weights(DIM, layers=layers, step_size=0.5)
        cases = [self._data(f"gradient descent, L={layers}", "constructed", 1000 + layers, descent)]
        if layers == 1:
            optimum, _ = one_layer_optimum(self.task, shots=TRAINING_SHOTS)
            cases.append(self._data("one-layer optimum", "constructed", 2000, optimum))
        return cases

    def trained(self, layers: int) -> list[Case]:
        """Models trained in this run, one case per seed: the first `seeds` of the population.

        Args:
            layers: L.
        """
        return self.trained_seeds(layers)[: self.profile.seeds]

    def trained_seeds(self, layers: int, hidden: int = 0) -> list[Case]:
        """All models trained in this run with so many layers, one case per seed; see `ensemble`.

        Args:
            layers: L.
            hidden: width of the linear MLP; 0: none.
        """
        return self._once("trained", layers, self._trained, hidden)

    def _trained(self, layers: int, hidden: int) -> list[Case]:
        model, first = self.ensemble(layers, hidden).models, 3000 + 100 * layers + 10_000 * (hidden > 0)
        name = f"trained{' with an MLP' * (hidden > 0)}, L={layers}"
        return [
            self._data(f"{name}, seed {seed}", "trained", first + seed, model.member(seed))
            for seed in range(len(model.value))
        ]

    @cached_property
    def one_layer(self) -> list[Case]:
        """Random, constructed and trained weights with one layer."""
        return [*self.random(1), *self.constructed(1), *self.trained(1)]

    @cached_property
    def three_layers(self) -> list[Case]:
        """Random, constructed and trained weights with three layers."""
        return [*self.random(3), *self.constructed(3), *self.trained(3)]

    @cached_property
    def truncated(self) -> list[Case]:
        """One module of one layer at lower rank: of random and trained models, with one and three layers."""
        sources = [*self.one_layer[:2], *self.one_layer[-2:], *self.three_layers[:1], *self.three_layers[-1:]]
        plans: tuple[tuple[Module, int], ...] = (
            ("value", 3),
            ("query", 2),
            ("key", 4),
            ("attention", 3),
            ("value", 1),
            ("attention", 1),
        )
        cases = []
        for source, (module, rank) in zip(sources, plans, strict=True):
            model = truncate_weights(source.model, layer=source.layers - 1, module=module, rank=rank)
            cases.append(source.with_model(model, f"{module} at rank {rank}", "truncated"))
        return cases

    def standard(self) -> list[Case]:
        """All kinds: random, constructed, trained and truncated, with one and three layers."""
        return [*self.one_layer, *self.three_layers, *self.truncated]
