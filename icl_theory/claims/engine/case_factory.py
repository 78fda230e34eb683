"""Makes the cases of a run: random, constructed, trained and truncated weights."""

from collections.abc import Callable
from itertools import cycle

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.given_cases import Lacking, given_cases, lowered
from icl_theory.claims.engine.populations import Populations
from icl_theory.models.constructions import gradient_descent_weights, one_layer_optimum, random_weights
from icl_theory.models.options import Module


class CaseFactory(Populations):
    """Makes the cases of one run; trains its ensembles once, when a claim first needs them.

    Args:
        profile: "quick" or "full", or a `Profile`: how many seeds and samples, and how long to train.
        seed: seed of everything random; equal seeds give equal cases.
        progress: called with (text, done, total) during training.
        cache: where trained ensembles are kept between runs; None keeps nothing.
        settings: task, depth, demonstrations and perhaps a model of yours; the usual ones if None.

    Raises: ValueError for an unknown profile or a seed out of range.

    Example:
        >>> from icl_theory.claims import CaseFactory
        >>> [case.name for case in CaseFactory("quick", seed=0).constructed(layers=1)]
        ['gradient descent, L=1', 'one-layer optimum']
    """

    def random(self, layers: int) -> list[Case]:
        """Random weights, one case per seed; the same objects at every call, so that their ladders are shared.

        Args:
            layers: L.
        """
        return self._once("random", layers, self._random)

    def _once(self, kind: str, layers: int, make: Callable[..., list[Case]], *hidden: int) -> list[Case]:
        place, self.asked = (kind, layers, sum(hidden)), True
        if place not in self._made:
            self._made[place] = make(layers, *hidden)
        found = self._made[place]
        if isinstance(found, Lacking):
            self.lost.append(found.what)
        return found

    def _random(self, layers: int) -> list[Case]:
        if self.settings.model is not None:
            return given_cases(self, layers, self._data)
        if not layers:
            return Lacking("models with several layers")
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
        if self.settings.model is not None or not layers or self.task.outputs > 1:
            return Lacking("constructed models" if layers else "models with several layers")
        descent = gradient_descent_weights(self.task.dim, layers=layers, step_size=0.5)
        cases = [self._data(f"gradient descent, L={layers}", "constructed", 1000 + layers, descent)]
        if layers == 1 and self.task.knows_moments:
            optimum, _ = one_layer_optimum(self.task, shots=self.settings.shots)
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
        if self.settings.model is not None or not layers:
            return Lacking("models trained here" if layers else "models with several layers")
        model, first = self.ensemble(layers, hidden).models, 3000 + 100 * layers + 10_000 * (hidden > 0)
        name = f"trained{' with an MLP' * (hidden > 0)}, L={layers}"
        return [
            self._data(f"{name}, seed {seed}", "trained", first + seed, model.member(seed))
            for seed in range(len(model.value))
        ]

    @property
    def one_layer(self) -> list[Case]:
        """Random, constructed and trained weights with one layer."""
        return [*self.random(1), *self.constructed(1), *self.trained(1)]

    @property
    def deep(self) -> list[Case]:
        """Random, constructed and trained weights with several layers, three as a rule."""
        return [*self.random(self.depth), *self.constructed(self.depth), *self.trained(self.depth)]

    @property
    def truncated(self) -> list[Case]:
        """One module of one layer at lower rank: of random and trained models, with one layer and with several."""
        return self._once("truncated", 0, self._truncated)

    def _truncated(self, _layers: int) -> list[Case]:
        sources = [*self.one_layer, *self.deep]
        if self.settings.model is None and self.depth:
            sources = [*self.one_layer[:2], *self.one_layer[-2:], *self.deep[:1], *self.deep[-1:]]
        plans: tuple[tuple[Module, int], ...] = (
            ("value", 3),
            ("query", 2),
            ("key", 4),
            ("attention", 3),
            ("value", 1),
            ("attention", 1),
        )
        return [lowered(source, module, rank) for source, (module, rank) in zip(cycle(sources), plans, strict=False)]

    def standard(self) -> list[Case]:
        """All kinds: random, constructed, trained and truncated, with one layer and with several."""
        return [*self.one_layer, *self.deep, *self.truncated]
