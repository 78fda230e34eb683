"""Bound versus rank of W_K and W_V for the one-layer ensemble of a run, computed next to its claims."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import jax

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import SHOTS
from icl_theory.claims.engine.cases import CLIP
from icl_theory.claims.engine.trained_ensembles import REPORT_SECONDS
from icl_theory.core.progress import Progress
from icl_theory.training.train import TrainResult
from icl_theory.truncation.rank_sweep import rank_sweep

_TASKS = 4  # task vectors over which it is averaged


class Sweep:
    """Begins at once, in a thread of its own: it waits for the models, and no claim waits for it."""

    def __init__(self, factory: CaseFactory) -> None:
        self._seen = 0, 1
        trained, pool = factory.ensembles.future(factory.recipe(1)), ThreadPoolExecutor(1, thread_name_prefix="sweep")
        self._made = pool.submit(self._make, factory, trained)
        pool.shutdown(wait=False)  # takes nothing more; the sweep goes on until the factory is closed

    def _make(self, factory: CaseFactory, trained: Future[TrainResult]) -> list[dict[str, Any]]:
        def note(_text: str, done: int, total: int) -> None:
            factory.ensembles.stop_if_closed()
            self._seen = done, total

        return rank_sweep(
            jax.tree.map(lambda matrices: matrices[: factory.profile.seeds], trained.result().models),
            factory.task,
            demonstrations=4 * SHOTS,
            shots=SHOTS,
            clip=CLIP,
            samples=factory.profile.samples,
            modules=("key", "value"),
            tasks=_TASKS,
            key=factory.seed,
            progress=note,
        )

    def records(self, progress: Progress | None = None) -> list[dict[str, Any]]:
        """What `rank_sweep` returns, waited for; progress is reported here, and so by the caller's thread."""
        while not wait([self._made], timeout=REPORT_SECONDS).done:
            if progress is not None:
                progress("bound versus rank", *self._seen)
        return self._made.result()
