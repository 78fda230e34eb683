"""Makes the cases of a run: random, constructed, trained and truncated weights."""

import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import DIM, MLP_WIDTH, SHOWN, TRAINING_SHOTS, Case
from icl_theory.claims.engine.profiles import PROFILES, Profile, ProfileName
from icl_theory.claims.engine.trained_ensembles import Recipe, TrainedEnsembles
from icl_theory.core import checks
from icl_theory.core.progress import Progress
from icl_theory.models.checked import checked
from icl_theory.models.constructions import gradient_descent_weights, one_layer_optimum, random_weights
from icl_theory.models.model import Model
from icl_theory.models.options import Module, Readout
from icl_theory.tasks.base import Task
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.config import TrainConfig
from icl_theory.training.ensemble_cache import EnsembleCache
from icl_theory.training.train import TrainResult
from icl_theory.truncation.module_truncation import truncate_weights

FIRST_NUMBER = 2**40
"""Numbers of cases of populations begin here, those of given models end here."""


class CaseFactory:
    """Makes the cases of one run; trains its ensembles once, when a claim first needs them.

    Args:
        profile: "quick" or "full", or a `Profile`: how many seeds and samples, and how long to train.
        seed: seed of everything random; equal seeds give equal cases.
        progress: called with (text, done, total) during training.
        cache: where trained ensembles are kept between runs; None keeps nothing.

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
        *,
        cache: EnsembleCache | None = None,
    ) -> None:
        if isinstance(profile, str):
            profile = PROFILES[checks.choice("profile", profile, tuple(PROFILES))]
        self.profile, self.seed = profile, checks.integer("seed", seed, 0, 2**31 - 1, "pass a whole number")
        self.task = LinearRegression(DIM, noise_std=0.5)
        self.ensembles = TrainedEnsembles(seed, progress=progress, cache=cache)
        self._made: dict[tuple[str, int, int], list[Case]] = {}
        self._populations: dict[Recipe, list[Case]] = {}

    def _data(
        self, name: str, kind: str, seed: int, model: Model, task: Task | None = None, shots: int = TRAINING_SHOTS
    ) -> Case:
        """A case with data of its own, of the house's task or of another."""
        of: Any = task or self.task
        rng = np.random.default_rng([self.seed, seed])
        w = of.sample_tasks(rng, 1)
        tokens = of.sample_tokens(rng, w, shots)[0]
        number, shown = int(rng.integers(2**31)), max(min(SHOWN, shots - 1), 1)
        return Case(name, kind, number, checked(model), of, w[0], tokens, shots=shown, samples=self.profile.samples)

    def case(self, name: str, model: Model, *, task: Task | None = None, shots: int = TRAINING_SHOTS) -> Case:
        """A case of a model of yours, with a task vector, demonstrations and a seed that the name determines.

        Args:
            name: what it is, in words; cases of equal names have equal data.
            model: a single model.
            task: any task; linear regression with d_x = 5 and σ = 0.5 if None.
            shots: N, the demonstrations of the case.

        Raises: ValueError for a model whose token dimension is not that of the task.
        """
        fitting = checked(model, (task or self.task).token_dim)
        return self._data(name, "given", FIRST_NUMBER - 1 - zlib.crc32(name.encode()), fitting, task, shots)

    def recipe(
        self,
        layers: int,
        hidden: int = 0,
        *,
        task: Task | None = None,
        shots: int = TRAINING_SHOTS,
        steps: int | None = None,
        seeds: int | None = None,
        **options: Any,
    ) -> Recipe:
        """What is trained for so many layers: the settings of this run where nothing else is said.

        Args:
            layers: L.
            hidden: width of the MLP; 0: none.
            task: any task; the run's own, linear regression with d_x = 5 and σ = 0.5, if None.
            shots: N of the training prompts.
            steps: training steps; those of the profile if None.
            seeds: members; as many as the profile has trained seeds if None.
            options: other fields of `TrainConfig`.
        """
        # Models with an MLP are trained for as many steps as those of one layer.
        usual = self.profile.steps[1 if hidden or layers == 1 else 3]
        members = max(self.profile.seeds, self.profile.trained_seeds) if seeds is None else seeds
        options |= {"hidden": hidden, "shots": shots, "seeds": members, "steps": usual if steps is None else steps}
        return Recipe(task or self.task, TrainConfig(layers=layers, **options))

    def ensemble(self, layers: int, hidden: int = 0, readout: Readout = "minus") -> TrainResult:
        """The trained ensemble of this run: all seeds of the population, with a linear MLP if `hidden` is its width.

        Every seed has initial weights and prompts of its own, so that the members are independent draws.

        Args:
            layers: L.
            hidden: width of the linear MLP; 0: none.
            readout: "minus" or "plus".
        """
        return self.ensembles.get(self.recipe(layers, hidden, readout=readout))

    def population(
        self,
        layers: int,
        *,
        task: Task | None = None,
        shots: int = TRAINING_SHOTS,
        steps: int | None = None,
        seeds: int | None = None,
        **options: Any,
    ) -> list[Case]:
        """Models trained on a task of yours, one case per seed: what a statement over seeds is about.

        Claims that ask for the same are given the same cases, and the ensemble is trained once; `verify` keeps it for
        later runs too.

        Args:
            layers: L.
            task: any task; linear regression with d_x = 5 and σ = 0.5 if None. Case.task is this object.
            shots: N, the demonstrations of the training prompts and of the case.
            steps: training steps; those of the profile if None.
            seeds: how many models; as many as the profile has trained seeds (12 or 32) if None.
            options: other fields of `TrainConfig`: heads, kind, mask, hidden, activation, readout, ...

        Returns: the cases.
        Raises: ValueError for a setting out of its range, or a member whose training diverged: to leave it out would
            select the seeds that a statement is about.

        Example:
            >>> from icl_theory import LinearRegression
            >>> from icl_theory.claims import CaseFactory
            >>> factory = CaseFactory("quick", seed=0)
            >>> cases = factory.population(1, task=LinearRegression(2), shots=8, steps=20, seeds=3)
            >>> len(cases), cases[0].demonstrations.shape
            (3, (8, 3))
        """
        recipe = self.recipe(layers, task=task, shots=shots, steps=steps, seeds=seeds, **options)
        if recipe not in self._populations:
            self._populations[recipe] = self._population(recipe, self.ensembles.get(recipe))
        return self._populations[recipe]

    def _population(self, recipe: Recipe, trained: TrainResult) -> list[Case]:
        lost = np.flatnonzero(trained.diverged).tolist()
        if lost:
            got, hint = f"{recipe}: training diverged for seeds {lost}", "lower learning_rate, or take fewer layers"
            raise checks.error("population", got, "members that are all finite", hint)
        where = "" if recipe.task is self.task else f" on {type(recipe.task).__name__}"
        name, first = f"trained, {recipe}{where}", FIRST_NUMBER + recipe.number
        task, shots = recipe.task, recipe.config.shots
        return [
            self._data(f"{name}, seed {seed}", "trained", first + seed, trained.models.member(seed), task, shots)
            for seed in range(recipe.config.seeds)
        ]

    def close(self) -> None:
        """End the factory: training that is not finished is stopped."""
        self.ensembles.close()

    def train_ahead(self) -> None:
        """Begin all the training that a run over every claim needs, in the order of need; do not wait."""
        kinds = (self.recipe(3), self.recipe(1), self.recipe(3, MLP_WIDTH), self.recipe(3, readout="plus"))
        self.ensembles.begin(*kinds)

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
