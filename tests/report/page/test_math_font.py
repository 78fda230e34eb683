"""The font within the page: every sign that a formula can ask for, a MATH table, and a name of its own."""

import html
import inspect
import io
import re
from collections.abc import Iterator
from typing import Any

import build_math_font
import pytest
from fontTools.ttLib import TTFont
from ledger import document
from sweep_records import sweep

from icl_theory.claims.registry import load_all
from icl_theory.report.page import assets
from icl_theory.report.page.document import page
from icl_theory.report.page.formulas import sentence

BLANK = {"\N{WORD JOINER}"}  # what no font needs a glyph for


def asset() -> TTFont:
    return TTFont(io.BytesIO(build_math_font.ASSET.read_bytes()))


def signs(font: TTFont) -> set[str]:
    return {chr(code) for code in font.getBestCmap() or {}}


def texts() -> Iterator[str]:
    """Everything that our claims say and the page sets as sentences."""
    for claim in load_all():
        yield from (claim.statement, claim.explanation, *(a.sentence for a in claim.assumptions))
        yield from (control.name for control in claim.controls)
        yield from (inspect.getdoc(f) or "" for f in (claim.measure, claim.predict, claim.proof) if f is not None)


def set_in_math(markup: str) -> set[str]:
    """The characters of every formula, single letters in italics as the browser sets them."""
    formulas = re.findall("<math>.*?</math>", markup, re.DOTALL)
    plain = set(html.unescape(re.sub("<[^>]*>", "", "".join(formulas))))
    letters = {letter for formula in formulas for letter in re.findall("<mi>([^<])</mi>", formula)}
    return plain | {build_math_font.ITALIC[letter] for letter in letters if letter in build_math_font.ITALIC}


@pytest.fixture(scope="module")
def needed() -> set[str]:
    made = "".join(sentence(text, display=display) for text in texts() for display in (True, False))
    return set_in_math(made + page(document() | {"sweep": sweep()})) - BLANK


def test_every_sign(needed: set[str]) -> None:
    """Every sign of every formula is there."""
    assert {"\N{MATHEMATICAL ITALIC CAPITAL W}", "\N{PLANCK CONSTANT}", "Σ", "≤", "ˆ", "−"} <= needed
    assert len(needed) > 120
    assert needed - signs(asset()) == set()


@pytest.mark.parametrize("sign", ["W", "\N{MATHEMATICAL ITALIC CAPITAL W}", "⊗", "∂"])
def test_missing_sign(needed: set[str], sign: str) -> None:
    """The control: a font built without one sign of the formulas lacks that one."""
    poorer = build_math_font.build(build_math_font.signs() - {sign})
    assert needed - signs(poorer) == {sign}


def test_asset() -> None:
    """The asset is what the script builds."""
    built, kept = TTFont(io.BytesIO(build_math_font.woff(build_math_font.build(build_math_font.signs())))), asset()
    assert signs(kept) == signs(built)
    for name in ("MATH", "glyf", "hmtx", "name"):
        assert kept.getTableData(name) == built.getTableData(name), name
    assert build_math_font.ASSET.stat().st_size < 50_000


def test_unknown_sign() -> None:
    """A sign that stix does not have is an error."""
    with pytest.raises(ValueError, match="signs: got 'ӂ'"):
        build_math_font.build({"a", "ӂ"})


def test_larger_brackets() -> None:
    """Larger brackets and roots."""
    font: Any = asset()
    table, glyphs, names = font["MATH"].table, font["glyf"], font.getBestCmap()
    constructions = table.MathVariants.VertGlyphConstruction
    covered = dict(zip(table.MathVariants.VertGlyphCoverage.glyphs, constructions, strict=True))
    for sign in "()[]{}√":
        variants = covered[names[ord(sign)]].MathGlyphVariantRecord
        heights = [record.AdvanceMeasurement for record in variants]
        assert len(heights) == 4
        assert heights == sorted(set(heights))
        for record in variants:
            glyph = glyphs[record.VariantGlyph]
            assert record.AdvanceMeasurement == glyph.yMax - glyph.yMin
    constants = table.MathConstants
    assert constants.ScriptPercentScaleDown == 72
    assert constants.SuperscriptShiftUp.Value == 363


def test_reserved_names() -> None:
    """The reserved names are not used and the authors and the licence are."""
    names = {record.nameID: record.toUnicode() for record in asset()["name"].names}
    assert "STI Pub Companies" in names[0]
    for number in (1, 2, 3, 4, 6):
        assert not re.search("STIX|TM Math", names[number])
    assert names[1] == assets.FAMILY
    licence = build_math_font.ASSET.with_name("math-LICENSE.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "Reserved\nFont Name STIX Fonts" in licence


def test_font_on_the_page() -> None:
    """The page holds the font and names it last."""
    style = assets.style()
    assert style.count("@font-face") == 1
    assert f'"{assets.FAMILY}", math; }}' in style
