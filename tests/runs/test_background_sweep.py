"""Bound versus rank next to the claims: as in line, reported by one thread, stopped when the run is closed."""

import threading
from contextlib import closing

import jax
import pytest

from icl_theory import rank_sweep
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import SHOTS
from icl_theory.claims.engine.cases import CLIP
from icl_theory.claims.engine.profiles import Profile
from icl_theory.claims.engine.trained_ensembles import Cancelled
from icl_theory.runs import background_sweep
from icl_theory.runs.background_sweep import Sweep

SMALL = Profile(seeds=2, samples=64, steps={1: 20, 3: 20}, scalar_samples=1000, trained_seeds=3)


def test_first_seeds():
    """The sweep is that of the first seeds."""
    with closing(CaseFactory(SMALL, 5)) as factory:
        records = Sweep(factory).records()
        model = jax.tree.map(lambda a: a[:2], factory.ensemble(1).models)
    plain = rank_sweep(
        model,
        factory.task,
        demonstrations=4 * SHOTS,
        shots=SHOTS,
        clip=CLIP,
        samples=64,
        modules=("key", "value"),
        tasks=4,
        key=5,
    )
    assert records == plain
    assert len(records) > 2


def test_progress_thread(monkeypatch):
    """Progress is reported by the thread that waits."""
    reported, go_on = [], threading.Event()

    def slow(*_, progress, **__):
        progress("bound versus rank", 1, 3)
        assert go_on.wait(60)  # until it has been reported
        return ["a record"]

    def progress(*said):
        reported.append((threading.current_thread(), *said))
        if said[1] == 1:
            go_on.set()

    monkeypatch.setattr(background_sweep, "rank_sweep", slow)
    with closing(CaseFactory(SMALL, 0)) as factory:
        assert Sweep(factory).records(progress) == ["a record"]
    assert {thread for thread, *_ in reported} == {threading.main_thread()}
    assert reported[-1][1:] == ("bound versus rank", 1, 3)


def test_closing(monkeypatch):
    """A closed run breaks the sweep off."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_, progress, **__):
        begun.set()
        assert go_on.wait(20)
        progress("bound versus rank", 1, 2)
        return []

    monkeypatch.setattr(background_sweep, "rank_sweep", slow)
    with closing(CaseFactory(SMALL, 0)) as factory:
        sweep = Sweep(factory)
        assert begun.wait(60)
    go_on.set()
    with pytest.raises(Cancelled):
        sweep.records()


def test_errors_are_raised(monkeypatch):
    """What goes wrong in the sweep is raised where it is waited for."""

    def broken(*_, **__):
        raise ValueError("rank: got 0")

    monkeypatch.setattr(background_sweep, "rank_sweep", broken)
    with closing(CaseFactory(SMALL, 0)) as factory, pytest.raises(ValueError, match="got 0"):
        Sweep(factory).records()
