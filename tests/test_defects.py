"""The list of deliberate defects: it fits the source, covers every module, and says what a user would get wrong."""

import argparse
import ast
from collections import Counter
from pathlib import Path

import mutation
import pytest
from defects import CLASSES, Defect, load

ROOT = Path(__file__).parent.parent
DEFECTS = load()


WITHOUT = (
    "__main__",
    "core/progress",
    "core/version",
    "figures/",
    "claims/order",
    "claims/quantities/",
    "report/page/axes",
    "report/page/changes",
    "report/page/claim",
    "report/page/elements",
    "report/page/formula",
    "report/page/plots",
    "report/page/words",
    "report/terminal/comparison",
    "report/terminal/explain",
    "report/terminal/grid_tables",
    "grids/kinds",
    "runs/figure_list",
    "runs/figures_config",
    "claims/engine/finding_claim",
    "report/terminal/plain_text",
    "report/terminal/training_table",
)
"""Modules that draw and set what others have computed, lists, and helpers of claims, which have their own controls."""


def sources() -> list[str]:
    """Modules of the package that compute or decide something, without the claims, which have controls of their own."""
    paths = sorted((ROOT / "icl_theory").rglob("*.py"))
    claims = [p for p in paths if "CLAIM = Claim(" in p.read_text(encoding="utf-8")]
    return [p.relative_to(ROOT).as_posix() for p in paths if p not in claims and p.read_text(encoding="utf-8").strip()]


def test_every_defect_fits():
    """A text that has moved, or a replacement that is no Python or no change: mend the entry, or say it is gone."""
    stale = []
    for defect in DEFECTS:
        try:
            defect.applied((ROOT / defect.file).read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            stale.append(f"{defect.name}: {error}")
    assert stale == []


def test_coverage():
    """The list is long and covers every module."""
    real = [defect for defect in DEFECTS if not defect.equivalent]
    assert len(real) >= 130
    assert set(Counter(defect.kind for defect in real)) == set(CLASSES)
    listed = {defect.file for defect in real}
    excused = tuple(f"icl_theory/{name}" for name in WITHOUT)
    left = [file for file in sources() if file not in listed and not file.startswith(excused)]
    # A finding on a registered grid is a name and words; what computes it is in `grids`.
    left = [file for file in left if "= finding_claim(\n" not in (ROOT / file).read_text(encoding="utf-8")]
    assert [file for file in left if not file.endswith("__init__.py")] == [], "new code adds defects of its own"


def test_descriptions():
    """The words of a defect are its own."""
    texts = Counter((defect.file, defect.old, defect.new, defect.occurrence) for defect in DEFECTS)
    assert [key for key, count in texts.items() if count > 1] == []
    assert [d.name for d in DEFECTS if "placeholder" in d.wrong or len(d.wrong) < 15] == []


SOURCE = '''def mean(values):
    """a + b"""
    return sum(values) / len(values)  # a + b


def twice(a):
    return a + a
'''


def defect(old: str, new: str, **changes) -> Defect:
    return Defect("one", "icl_theory/one.py", "formula", old, new, "a mean that is none", **changes)


def test_one_place():
    """A defect changes one place."""
    assert defect("len(values)", "2").applied(SOURCE) == SOURCE.replace("len(values)", "2")
    assert defect("values", "x", occurrence=2, times=3).applied(SOURCE) == SOURCE.replace("sum(values)", "sum(x)")
    assert (
        defect("values)\n\n\ndef twice(a)".replace(")\n", ")  # a + b\n", 1), "values)\n\n\ndef twice(b)")
        .applied(SOURCE)
        .endswith("def twice(b):\n    return a + a\n")
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("median", "mean", "0 times"),
        ("values", "x", "3 times"),
        ("sum(values)", "sum(values", "no Python"),
        ("sum(values)", "sum( values )", "changes no code"),
        ("# a + b", "# a - b", "changes no code"),
        ("twice", "twice", "changes nothing"),
    ],
)
def test_stale_defect(old, new, words):
    """A defect that does not fit is an error."""
    with pytest.raises(ValueError, match=words):
        defect(old, new).applied(SOURCE)


@pytest.mark.parametrize(
    ("change", "words"),
    [("wrong = ''", "empty: wrong"), ("class = 'typo'", "typo"), ("kind = 'formula'", "kind"), ("times = 0", "class")],
)
def test_bad_entry(tmp_path, change, words):
    """An entry that is no defect is an error."""
    rows = {"name": "'n'", "file": "'f'", "class": "'formula'", "old": "'a'", "new": "'b'", "wrong": "'w'"}
    field, value = change.split(" = ")
    text = "[[defect]]\n" + "\n".join(f"{name} = {text}" for name, text in (rows | {field: value}).items())
    (tmp_path / "list.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        load(tmp_path)


def test_parsing():
    """The shortcut of `Defect.applied` sees what parsing the whole file sees."""
    for listed in DEFECTS[::40]:
        source = (ROOT / listed.file).read_text(encoding="utf-8")
        changed = listed.applied(source)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
    assert isinstance(mutation.parsed([]), argparse.Namespace)
