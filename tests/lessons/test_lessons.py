"""The lessons run as they stand, their exercises know right from wrong, and they become notebooks and pages."""

import contextlib
import dataclasses
import io
import itertools
import json
import math
import re
import runpy
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import here, red_baseline
from helpers import error_message

from icl_theory import population_risk
from icl_theory.lessons import check, check_claim, lessons, question, write_lesson
from icl_theory.lessons.exercises import EXERCISES
from icl_theory.lessons.files import with_formulas

NUMBERS = [lesson.number for lesson in lessons()]


def test_six_lessons() -> None:
    """Numbered from 1, each with exercises that the registry has and the other way round."""
    assert NUMBERS == [1, 2, 3, 4, 5, 6]
    named = {number for lesson in lessons() for number in re.findall(r'"(\d\.\d)"', lesson.path.read_text("utf-8"))}
    assert named == {*EXERCISES, "6.1"}
    assert all(len(question(number)) > 20 for number in EXERCISES)


@pytest.fixture(scope="module")
def said() -> dict[int, tuple[str, float]]:
    """What every lesson prints, and how long it takes."""
    found = {}
    for lesson in lessons():
        begun, out = time.perf_counter(), io.StringIO()
        with contextlib.redirect_stdout(out):
            runpy.run_path(str(lesson.path), run_name="lesson")
        found[lesson.number] = out.getvalue(), time.perf_counter() - begun
    return found


@pytest.mark.parametrize("number", NUMBERS)
def test_runs(said: dict[int, tuple[str, float]], number: int) -> None:
    """Its own assertions hold, it prints numbers, and ends with a wrong answer that is told to be one."""
    text, seconds = said[number]
    assert seconds < 60
    assert "not yet" in text.splitlines()[-1]
    assert len(re.findall(r"\d", text)) > (10 if number != 6 else 3)


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.title)
def test_public_names_only(lesson: Any) -> None:
    """A lesson uses what a reader may use."""
    text = lesson.path.read_text("utf-8")
    allowed = ("icl_theory", "icl_theory.claims", "icl_theory.figures", "icl_theory.lessons")
    assert set(re.findall(r"from (icl_theory[\w.]*) import", text)) <= set(allowed)
    assert re.search(r"import _|\._[a-z]", text) is None


def variance_of_pairs(g: np.ndarray, b: int) -> float:
    """Over all subsets, listed."""
    return float(np.var([np.mean(some) for some in itertools.combinations(g, b)]))


def by_token(value: np.ndarray, key: np.ndarray, query: np.ndarray, s: np.ndarray) -> np.ndarray:
    """p from the definition: three tokens whose second moment is S, unit vectors as queries."""
    tokens = math.sqrt(3) * np.linalg.cholesky(s).T
    update = sum(np.outer(value @ h, key @ h) @ query for h in tokens) / 3
    return np.array([-(update @ unit)[-1] for unit in np.eye(3)[:2]])


RIGHT: dict[str, Any] = {
    "1.1": float(Fraction(1, 2) * (1 * 2 + 3 * 6) / 2),
    "1.2": lambda eta: [[0.0, 0.0], [0.0, -eta]],
    "1.3": by_token,
    "2.1": 0.5 * 3 + 0.5 * (3 - 1.5),
    "2.2": 2 / 2,
    "2.3": (0.5**2 * 1) / (0.95**2 * 0.1),
    "3.1": variance_of_pairs,
    "3.2": 6 * 7 / 2,
    "3.3": 10 - 1,
    "4.1": lambda information, c, n: c * math.sqrt(information / (2 * n)),
    "4.2": math.log(2),
    "4.3": 2 * 80,
    "5.1": (2**2 + 1) ** 0.5,
    "5.2": min(4 * 1, 1 * 9),
    "5.3": [0, 6, 6 + 5, 6 + 5 + 4, 6 + 5 + 4 + 3, 6 + 5 + 4 + 3 + 2, 6 + 5 + 4 + 3 + 2 + 1],
}
"""Answers worked out here, in another way."""


@pytest.mark.parametrize("number", EXERCISES)
def test_answers(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The right one is right; every known mistake is wrong and gets its own words; something else gets other words."""
    assert check(number, RIGHT[number])
    assert capsys.readouterr().out == f"{number}: right.\n"
    exercise = EXERCISES[number]
    assert exercise.wrong
    for words, mistake in exercise.wrong.items():
        assert not check(number, mistake)
        assert capsys.readouterr().out == f"{number}: not yet. {words}\n"
    other = (lambda *given: np.zeros_like(np.asarray(exercise.right(*given)))) if exercise.tries else -7.25
    assert not check(number, other)
    said = capsys.readouterr().out
    assert said.startswith(f"{number}: not yet.")


def test_answers_of_another_kind() -> None:
    """They are refused in a sentence."""
    assert "one of 1.1" in error_message(check, "9.9", 1.0)
    assert "a function" in error_message(check, "1.2", 1.0)
    assert "call it" in error_message(check, "1.1", lambda: 5.0)
    assert "call float" in error_message(check, "1.1", ...)
    assert "a Claim" in error_message(check_claim, "6.1", "lemma_1")
    assert not check("5.3", [0, 6, 11])


def test_repaired_claim(capsys: pytest.CaptureFixture[str]) -> None:
    """The exercise of the last lesson: with the fourth moment the claim HOLDS and its controls are caught."""
    [last] = [lesson for lesson in lessons() if lesson.number == 6]
    names = runpy.run_path(str(last.path), run_name="lesson")
    d, b, step = names["D"], names["B"], names["STEP"]

    def formula(case: Any) -> float:
        return d * (1 - 2 * step + step**2 * (1 + (d + case.task.inputs.fourth_moment - 2) / b))

    # The means of heavy-tailed errors need many prompts; the risk in closed form has none.
    repaired = dataclasses.replace(
        names["heavy"],
        label="lesson_repaired",
        predict=formula,
        measure=lambda case: population_risk(case.model, case.task, shots=b),
    )
    capsys.readouterr()
    assert not check_claim("6.1", dataclasses.replace(repaired, label="lesson_half", predict=names["formula"]))
    assert "not yet. It FAILS" in capsys.readouterr().out
    controls = tuple(
        dataclasses.replace(c, predict=p)
        for c, p in zip(
            repaired.controls,
            (lambda case: d * (1 - step) ** 2, lambda case: formula(case) + 0.1 * d * step**2),
            strict=True,
        )
    )
    assert check_claim("6.1", dataclasses.replace(repaired, controls=controls))
    loose = (controls[0], dataclasses.replace(controls[1], name="nothing changed", predict=formula))
    assert not check_claim("6.1", dataclasses.replace(repaired, label="lesson_loose", controls=loose))


def test_notebook_and_script(tmp_path: Path) -> None:
    """A notebook with all cells, and the script as it is; nothing is overwritten."""
    notebook = json.loads(write_lesson(2, tmp_path / "two.ipynb").read_text("utf-8"))
    source = lessons()[1].path.read_text("utf-8")
    assert len(notebook["cells"]) == source.count("\n# %%")
    assert any("Which steps?" in "".join(cell["source"]) for cell in notebook["cells"])
    assert write_lesson(2, tmp_path / "two.py").read_text("utf-8") == source
    assert "which is there" in error_message(write_lesson, 2, tmp_path / "two.py")
    assert "one of .py" in error_message(write_lesson, 2, tmp_path / "two.pdf")
    assert "one of 1, 2" in error_message(write_lesson, 7, tmp_path / "seven.py")


def test_page(tmp_path: Path) -> None:
    """The results of a run, pictures and formulas inside, and no address that a browser would fetch."""
    text = write_lesson(1, tmp_path / "one.html").read_text("utf-8")
    assert "prediction of the layer:" in text
    assert "1.1: not yet." in text
    assert "data:image/png;base64," in text
    assert "<math" in text
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", text) == []
    assert "<script" not in text
    assert "$" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL).replace("&#36;", "")


def test_formulas() -> None:
    """Inline and displayed formulas; prices are none."""
    text = with_formulas("a $x_1$ and\n$$\\frac12$$\nend")
    assert text.count("<math") == 2
    assert 'display="block"' in text
    assert "$" not in text


def test_command(tmp_path: Path) -> None:
    """Lists, writes, and refuses halves."""
    done = here("lesson")
    assert done.stdout.splitlines()[0] == "1  one attention layer is one update"
    assert done.stdout.splitlines()[-1] == "page  the interactive page"
    assert here("lesson", "page", "--out", str(tmp_path / "page.html")).returncode == 0
    assert "<!doctype html>" in (tmp_path / "page.html").read_text("utf-8")
    assert "one of .html" in red_baseline(here("lesson", "page", "--out", str(tmp_path / "page.pdf")))
    assert "or page" in red_baseline(here("lesson", "first", "--out", str(tmp_path / "one.py")))
    assert len(json.loads(here("lesson", "--json").stdout)["lessons"]) == 6
    out = tmp_path / "one.ipynb"
    assert here("lesson", "1", "--out", str(out)).stdout == f"{out}\n"
    assert out.is_file()
    assert "both the number" in red_baseline(here("lesson", "1"))
    assert "both the number" in red_baseline(here("lesson", "--out", str(tmp_path / "two.py")))
    assert "one of 1, 2, 3, 4, 5, 6" in red_baseline(here("lesson", "9", "--out", str(tmp_path / "nine.py")))
    assert "which is there" in red_baseline(here("lesson", "1", "--out", str(out)))
