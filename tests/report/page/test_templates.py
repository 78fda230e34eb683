"""Templates: what goes in is escaped, what is missing is an error, what is layout is not printed."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from ledger import HOSTILE, document

import icl_theory
from icl_theory.report.page import templates
from icl_theory.report.page.claim import sheet
from icl_theory.report.page.elements import Markup

FOLDER = Path(icl_theory.__file__).parent / "report" / "templates"


def made(source: str, **values: object) -> str:
    return templates._environment().from_string(source).render(values)


def test_escaping() -> None:
    """Every value is escaped but markup."""
    assert made("{{ a }}|{{ b }}", a="<i>'", b=Markup("<i>")) == "&lt;i&gt;&#39;|<i>"
    assert "<script" not in made("<p title='{{ a }}'>{{ a | lower }}{{ a ~ 1 }}{{ a | sentence }}</p>", a=HOSTILE)
    assert made("{{ a }}", a="x\x00\ud800") == "x\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"


def test_unknown_name() -> None:
    """A name that does not exist is an error."""
    for source in ("{{ claim.labl }}", "{{ claims }}", "{% if claim.labl %}{% endif %}"):
        with pytest.raises(UndefinedError):
            made(source, claim={"label": "x"})


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_every_template_used(name: str) -> None:
    """It begins with a comment that says what it is; the page or another template names it."""
    assert (FOLDER / name).read_text(encoding="utf-8").startswith("{# ")
    assert name.endswith(".html")
    sources = [*FOLDER.iterdir(), *Path(str(templates.__file__)).parent.glob("*.py")]
    assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in sources if path.name != name)


def test_numbers() -> None:
    """Numbers of a record are spelled."""
    assert (
        made("{{ a | spelled }} {{ a | spelled(6) }} {{ 'inf' | spelled }}", a=1.5e-16) == "1.50×10⁻¹⁶ 1.50000×10⁻¹⁶ +∞"
    )


def test_layout() -> None:
    """Layout is not printed and a blank between words is."""
    claim = document()["claims"][0] | {"proof": "`code`", "proved": True, "proof_note": ""}
    text = sheet(claim, 1, 6.0)
    assert not re.search(r">\s*\n\s*<|>\s\s+<", text)
    assert "<code>code</code> <b>Run along with the check, and true.</b>" in text
