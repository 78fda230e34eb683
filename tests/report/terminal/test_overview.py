"""Many claims on one screen: counts by origin and verdict, and what does not hold."""

import io
from collections import Counter

import pytest
from command_line import here
from ledger import document_with_more
from rich.console import Console

from icl_theory.report.terminal import tables
from icl_theory.report.terminal.overview import ORIGINS, overview


def printed(width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as shown:
        for item in overview(document_with_more(), width):
            console.print(item, soft_wrap=isinstance(item, str))
    return shown.get()


def test_counts() -> None:
    """Every origin has its row, every verdict its column, and each number is a count of the records."""
    lines = printed(100).splitlines()
    heads = lines[0].split()[1:]
    claims = document_with_more()["claims"]
    found = Counter((claim["origin"], claim["verdict"]) for claim in claims)
    rows = {line.split("  ")[0]: line.split()[-len(heads) :] for line in lines[2:] if line}
    for origin, words in ORIGINS.items():
        assert rows[words] == [str(found[origin, verdict] or "-") for verdict in heads]
    assert sum(int(cell) for words in ORIGINS.values() for cell in rows[words] if cell != "-") == len(claims)


@pytest.mark.parametrize("width", [20, 40, 60, 100, 200])
def test_no_verdict_is_cut(width: int) -> None:
    """At any width every verdict that does not hold stands in full next to its claims, and so in the list."""
    text = printed(width)
    for claim in document_with_more()["claims"]:
        if claim["verdict"] != "HOLDS":
            assert claim["verdict"] in text
            assert claim["label"] in text
    listed = "\n".join(tables.claims_list(document_with_more(), width))
    for claim in document_with_more()["claims"]:
        assert f"{claim['verdict']} {claim['label']}" in listed


@pytest.mark.parametrize("width", ["20", "40", "60", "80", "100"])
def test_verdict_of_one_claim(width: str) -> None:
    """A run over one claim at every width: its label and its verdict, whole."""
    done = here("verify", "--claims", "lemma_3", COLUMNS=width)
    assert done.returncode == 0
    assert "lemma_3" in done.stdout
    assert "HOLDS" in done.stdout


def test_origins_come_first() -> None:
    """What somebody wrote and what is ours are told apart before verdicts are."""
    text = printed(100)
    assert text.index("as printed, INCONCLUSIVE") < text.index("our reading, DEPENDS") < text.index("ours, FAILS")
