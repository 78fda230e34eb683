"""The documents: short, with links that lead somewhere, commands that parse, code that runs, output as it is now."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from command_line import fresh

from icl_theory.claims.engine.expected_verdicts import expected_verdicts
from icl_theory.claims.registry import load
from icl_theory.cli.parsing import parse

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = [ROOT / "README.md", ROOT / "docs/guide.md"]
"""Documents whose Python blocks are run."""
MOST_WORDS = 900
DEFINED = ("Ladder", "Rung", "Sandwich", "Support")
"""Terms that name mathematics and are kept."""


def blocks(text: str, language: str = "") -> list[str]:
    """Fenced blocks of a language; an empty one for those that name none."""
    return [code for name, code in re.findall(r"```(\w*)\n(.*?)```", text, re.S) if name == language]


def dead_links(text: str, folder: Path) -> list[str]:
    """Relative links whose file, or whose heading, does not exist."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        file = folder / path
        if link.startswith("http"):
            continue
        if not file.is_file() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            dead.append(link)
    return dead


def anchors(text: str) -> set[str]:
    """Names under which a page shows its headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def commands(text: str) -> list[list[str]]:
    """Arguments of every complete `icl-theory` command: in code spans and in blocks."""
    lines = [line for block in blocks(text) for line in block.splitlines()]
    spans = re.findall(r"`(icl-theory [^`]+)`", text)
    parts = [part.strip() for line in [*lines, *spans] for part in re.split(r"&&|#", line)]
    return [shlex.split(part)[1:] for part in parts if part.startswith("icl-theory ")]


def unparsed(arguments: list[str]) -> bool:
    """Whether the command line cannot read it; words in capitals stand for what the reader types."""
    if "COMMAND" in arguments or arguments == ["train"] or arguments[-1] == "--help":
        return False
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            parse(arguments)
        except ValueError as error:
            return str(error).startswith(("command", "--"))
        return False


def outputs(text: str) -> list[tuple[str, str]]:
    """Every Python block and the output shown right below it; an empty one if none is."""
    found = re.findall(r"```python\n(.*?)```\n(?:\n```\n(.*?)```)?", text, re.S)
    return [(code, shown) for code, shown in found]


def without_numbers(text: str) -> str:
    """Text with every number that a processor may round otherwise replaced."""
    return re.sub(r"\d+(\.\d+)?(e-?\d+)?", "0", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links(path: Path) -> None:
    """Every relative link leads to a file, and to a heading of it if it names one."""
    assert dead_links(path.read_text(encoding="utf-8"), path.parent) == []


def test_dead_links_are_seen() -> None:
    text = "[a](docs/none.md), [b](README.md#nowhere), [c](README.md#two-commands), [d](https://example.org)"
    assert dead_links(text, ROOT) == ["docs/none.md", "README.md#nowhere"]


def test_length_and_picture() -> None:
    """README is one page with three pictures; the two commands come before any other code."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= MOST_WORDS
    assert [link for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text) if (ROOT / link).stat().st_size < 2e5] == [
        "docs/ledger.png",
        "docs/bound_versus_rank.png",
        "docs/page.png",
    ]
    first = blocks(text)
    assert first[0] == "python -m pip install -e . && icl-theory verify\n"
    assert first[2] == 'python -m pip install -e ".[test]" && pytest\n'


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_lines(path: Path) -> None:
    """At most 120 characters, tables and output aside."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands(path: Path) -> None:
    """Every command shown can be typed."""
    shown = commands(path.read_text(encoding="utf-8"))
    assert [arguments for arguments in shown if unparsed(arguments)] == []


def test_wrong_commands_are_seen() -> None:
    text = "`icl-theory verify --compare FILE` and\n```\nicl-theory prove # all\nicl-theory explain lemma_1\n```\n"
    assert commands(text) == [["prove"], ["explain", "lemma_1"], ["verify", "--compare", "FILE"]]
    assert [unparsed(arguments) for arguments in commands(text)] == [True, False, True]


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.name)
def test_code(path: Path) -> None:
    """Python blocks run one after the other and print what is shown, but for the digits of numbers."""
    names: dict[str, Any] = {}
    for code, shown in outputs(path.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, path.name, "exec"), names)
        if shown:
            assert without_numbers(printed.getvalue()) == without_numbers(shown)


def test_claims_shown() -> None:
    """The claims in README's sample have the origin and the verdict shown; so has the count below it."""
    sample = next(block for block in blocks((ROOT / "README.md").read_text(encoding="utf-8")) if "verdict" in block)
    rows = re.findall(r"^(\w+) +(paper|repaired|new|reading) +([A-Z]+) ", sample, re.M)
    known = expected_verdicts()
    assert len(rows) == 3
    assert [(load(label).origin, known[label]) for label, _, _ in rows] == [row[1:] for row in rows]
    counts = {
        verdict: list(known.values()).count(verdict)
        for verdict in ("HOLDS", "FAILS", "DEPENDS", "VACUOUS", "INCONCLUSIVE")
    }
    total = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    controls = sum(len(load(label).controls) for label in known)
    assert f"{len(known)} claims: {total}; {controls}/{controls} controls caught" in sample


def test_count_of_defects() -> None:
    """The documents name the number of deliberate defects that there are."""
    from defects import load as defects

    text = " ".join((ROOT / "docs/trust.md").read_text(encoding="utf-8").split())
    without_effect = sum(bool(defect.equivalent) for defect in defects())
    assert f"one of {len(defects())} deliberate defects" in text
    assert f"{without_effect} of them change no result" in text


def test_glossary() -> None:
    """Every term is defined once, those that name mathematics among them, and each is used in the package."""
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"\*\*(.+?)\*\*", text)
    assert len(terms) == len(set(terms)) > 35
    assert set(DEFINED) <= set(terms)
    source = " ".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "icl_theory").rglob("*.py"))).lower()
    unused = [term for term in terms if term.split(",")[0].split()[0].lower() not in source]
    assert unused == []


def test_own_theorem(tmp_path: Path) -> None:
    """The file of the page, run by its commands: verdicts as named, controls caught, a counterexample that stands."""
    text = (ROOT / "docs/own-theorem.md").read_text(encoding="utf-8")
    [code] = blocks(text, "python")
    assert len(code.splitlines()) <= 150
    (tmp_path / "my_theorem.py").write_text(code, encoding="utf-8")
    lines = [line for block in blocks(text) for line in block.splitlines() if line.startswith("icl-theory")]
    done = [fresh(tmp_path, *shlex.split(line)[1:], where=tmp_path) for line in lines]
    assert [(run.returncode, run.stderr if run.returncode else "") for run in done] == [(0, ""), (0, "")]
    records = json.loads((tmp_path / "run" / "records.json").read_text(encoding="utf-8"))["claims"]
    for claim in records:
        assert f"`{claim['label']}` {claim['verdict']}" in text
        assert all(control["caught"] for control in claim["controls"])
    assert [len(claim["evidence"]) for claim in records] == [2, 2, 12]
    assert "confirmed" in done[1].stdout
