"""Cases of single models and of trained populations, under the settings of a run."""

import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from icl_theory.claims.engine.case_settings import CaseSettings
from icl_theory.claims.engine.cases import SHOWN, Case
from icl_theory.claims.engine.profiles import PROFILES, Profile, ProfileName
from icl_theory.claims.engine.trained_ensembles import Recipe, TrainedEnsembles
from icl_theory.core import checks
from icl_theory.core.progress import Progress
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.models.options import Readout
from icl_theory.tasks.base import Task
from icl_theory.training.config import TrainConfig
from icl_theory.training.ensemble_cache import EnsembleCache
from icl_theory.training.train import TrainResult

FIRST_NUMBER = 2**40
"""Numbers of cases of populations begin here, those of given models end here."""


class Populations:
    """What `CaseFactory` does with single models and with trained ensembles."""

    def __init__(
        self,
        profile: Profile | ProfileName = "quick",
        seed: int = 0,
        progress: Progress | None = None,
        *,
        cache: EnsembleCache | None = None,
        settings: CaseSettings | None = None,
    ) -> None:
        if isinstance(profile, str):
            profile = PROFILES[checks.choice("profile", profile, tuple(PROFILES))]
        self.profile, self.seed = profile, checks.integer("seed", seed, 0, 2**31 - 1, "pass a whole number")
        self.settings = settings or CaseSettings()
        self.task: Any = self.settings.task
        self.lost: list[str] = []
        """Cases that were asked for and are not there in these settings, in words."""
        self.asked = False
        """Whether any case was asked for; a claim that asks for none has cases of its own."""
        self.ensembles = TrainedEnsembles(seed, progress=progress, cache=cache)
        self._made = dict[tuple[str, int, int], list[Case]]()
        self._populations = dict[Recipe, list[Case]]()

    def _data(
        self, name: str, kind: str, seed: int, model: Model, task: Task | None = None, shots: int | None = None
    ) -> Case:
        """A case with data of its own, of the task of these settings or of another."""
        self.asked = True
        of: Any = task or self.task
        rng = np.random.default_rng([self.seed, seed])
        w = of.sample_tasks(rng, 1)
        tokens = of.sample_tokens(rng, w, shots or self.settings.shots)[0]
        number = int(rng.integers(2**31))
        shown = self.settings.shots // 2 if shots is None else max(min(SHOWN, shots - 1), 1)
        case = Case(name, kind, number, checked(model), of, w[0], tokens, shots=shown, samples=self.profile.samples)
        return replace(case, training_shots=self.settings.shots)

    def case(self, name: str, model: Model, *, task: Task | None = None, shots: int | None = None) -> Case:
        """A case of a model of yours, with a task vector, demonstrations and a seed that the name determines.

        Args:
            name: what it is, in words; cases of equal names have equal data.
            model: a single model.
            task: any task; that of the settings, as a rule linear regression with d_x = 5 and σ = 0.5, if None.
            shots: N, the demonstrations of the case; those of the settings, as a rule 20, if None.

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
        shots: int | None = None,
        steps: int | None = None,
        seeds: int | None = None,
        **options: Any,
    ) -> Recipe:
        """What is trained for so many layers: the settings of this run where nothing else is said.

        Args:
            layers: L.
            hidden: width of the MLP; 0: none.
            task: any task; that of the settings, as a rule linear regression with d_x = 5 and σ = 0.5, if None.
            shots: N of the training prompts; those of the settings, as a rule 20, if None.
            steps: training steps; those of the profile if None.
            seeds: members; as many as the profile has trained seeds if None.
            options: other fields of `TrainConfig`.
        """
        # Models with an MLP are trained for as many steps as those of one layer.
        usual = self.profile.steps[1 if hidden or layers == 1 else 3]
        members = max(self.profile.seeds, self.profile.trained_seeds) if seeds is None else seeds
        options |= {
            "hidden": hidden,
            "shots": shots or self.settings.shots,
            "seeds": members,
            "steps": usual if steps is None else steps,
        }
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
        shots: int | None = None,
        steps: int | None = None,
        seeds: int | None = None,
        **options: Any,
    ) -> list[Case]:
        """Models trained on a task of yours, one case per seed: what a statement over seeds is about.

        Claims that ask for the same are given the same cases, and the ensemble is trained once; `verify` keeps it for
        later runs too.

        Args:
            layers: L.
            task: any task; that of the settings, as a rule linear regression with d_x = 5 and σ = 0.5, if None.
                Case.task is this object.
            shots: N, the demonstrations of the training prompts and of the case; those of the settings if None.
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
        if self.settings.model is not None:
            return
        deep, kinds = self.depth, [self.recipe(1)]
        if deep:
            kinds = [
                self.recipe(deep),
                *kinds,
                self.recipe(deep, readout="plus"),
            ]
        self.ensembles.begin(*kinds)

    @property
    def depth(self) -> int:
        """L of the models with several layers, 3 as a rule; 0 if these settings have none."""
        return self.settings.layers if self.settings.layers > 1 else 0
