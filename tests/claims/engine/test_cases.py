"""A case comes back from its description field by field; every counterexample has a file of its own."""

from dataclasses import fields, replace

import numpy as np
import pytest
from helpers import error_message
from laws import Silent
from ledger import CLAIMS
from sweep_records import sweep

from icl_theory import LinearClassification, LinearRegression, Model, ReLUTeacher, SparseLinearRegression
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.examine import Outcome
from icl_theory.claims.record import counterexample_file, record
from icl_theory.records.documents import to_plain
from icl_theory.records.environment import environment
from icl_theory.records.files import read_json, write_json
from icl_theory.runs.verify import VerifyResult, write
from icl_theory.tasks.laws import Uniform

RNG = np.random.default_rng(2)


def odd_case(mlp: bool, heads: bool) -> Case:
    """No number in it has a default value, and no two are equal."""
    shape = (2, 2, 3, 3) if heads else (2, 3, 3)
    matrices = [RNG.standard_normal(shape) for _ in range(3)]
    more = (RNG.standard_normal((2, 4, 3)), RNG.standard_normal((2, 3, 4))) if mlp else ()
    task = LinearRegression(2, np.diag([2.0, 0.5]), np.diag([1.5, 0.7]), noise_std=0.3, inputs=Uniform())
    model = Model.create(*matrices, *more, heads=2 if heads else None)
    return Case("an odd one", "trained", 17, model, task, RNG.standard_normal(2), RNG.standard_normal((9, 3)), 5, 77)


@pytest.mark.parametrize(("mlp", "heads"), [(False, False), (True, False), (True, True)])
def test_round_trip(tmp_path, mlp, heads):
    """A case comes back from its file as it was."""
    case = odd_case(mlp, heads)
    back = Case.from_dict(read_json(write_json(tmp_path / "case.json", case.to_dict())))
    assert (back.name, back.kind, back.seed, back.shots, back.samples) == ("an odd one", "trained", 17, 5, 77)
    np.testing.assert_array_equal(back.task_vector, case.task_vector)
    np.testing.assert_array_equal(back.demonstrations, case.demonstrations)
    assert back.model.heads == case.model.heads
    for name in ("value", "key", "query", "mlp_in", "mlp_out"):
        one, other = getattr(back.model, name), getattr(case.model, name)
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)
    task = back.task
    assert (task.dim, task.noise_std, task.inputs) == (2, 0.3, Uniform())
    np.testing.assert_array_equal(task.covariance, np.diag([2.0, 0.5]))
    np.testing.assert_array_equal(task.task_covariance, np.diag([1.5, 0.7]))
    described = {field.name for field in fields(Case)} - {"ladders"}
    assert described == set(case.to_dict()), "a field that is not described does not come back"


def test_unwritable_task(tmp_path):
    """It was an AttributeError; now the file says why the case is not in it, and a recheck gives that reason."""
    for task, words in ((LinearRegression(2, inputs=Silent()), "Silent"), (ReLUTeacher(2, 3, inputs=Silent()), "Sil")):
        case = replace(odd_case(False, False), task=task)
        described = read_json(write_json(tmp_path / "case.json", case.to_dict()))
        assert words in error_message(Case.from_dict, described)


@pytest.mark.parametrize("task", [SparseLinearRegression(2, nonzero=1), ReLUTeacher(2, 3), LinearClassification(2)])
def test_task_of_any_kind(task):
    """A case holds its task of any kind."""
    case = replace(odd_case(False, False), task=task)
    back = Case.from_dict(case.to_dict())
    assert type(back.task) is type(task)
    np.testing.assert_array_equal(back.task.sample(1, 3, 4).y, task.sample(1, 3, 4).y)


def test_one_file_each(tmp_path):
    """Two of one claim: two files, both in the records, neither over the other."""
    names = [counterexample_file("lemma_1", number) for number in range(3)]
    assert names[0] == "counterexamples/lemma_1.json"
    assert len(set(names)) == 3
    documents = [{"format": 1, "exact": None, "which": which} for which in (1, 2)]
    outcome = Outcome(replace(CLAIMS[1], verify_exact=None), "FAILS", [], [], counterexamples=documents)  # pyright: ignore
    claim = record(outcome)
    assert [found["file"] for found in claim["counterexamples"]] == [counterexample_file("fails", n) for n in (0, 1)]
    facts = {"profile": "quick", "seed": 0, "standard_errors": 6.0, "seconds": 1.0, "claims": [], "sweep": sweep()}
    write(VerifyResult(to_plain({"format": 1, "environment": environment(), **facts}), [outcome]), tmp_path)
    assert [read_json(tmp_path / found["file"]) for found in claim["counterexamples"]] == documents
