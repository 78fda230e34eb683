"""The font within the page: the signs asked for, a MATH table, and a name of its own."""

import base64
import io
import re

import pytest
from fontTools.ttLib import TTFont

from icl_theory.report.page import math_font

SIGNS = "ΔW = Σ(x+1)² ≤ √h"


def font(text: str = SIGNS) -> TTFont:
    found = re.search(r"base64,([^)]+)\)", math_font.face(text))
    assert found is not None
    return TTFont(io.BytesIO(base64.b64decode(found[1])))


def test_every_sign_is_there_upright_and_italic() -> None:
    names = font().getBestCmap() or {}
    assert {ord(sign) for sign in SIGNS if sign != " "} <= names.keys()
    assert {0x1D44A, 0x1D465, 0x210E} <= names.keys()  # W, x and h in italics
    assert ord("q") not in names
    assert len(names) < 40


def test_larger_brackets_and_roots() -> None:
    made = font()
    table, glyphs, names = made["MATH"].table, made["glyf"], made.getBestCmap() or {}
    covered = dict(
        zip(table.MathVariants.VertGlyphCoverage.glyphs, table.MathVariants.VertGlyphConstruction, strict=True)
    )
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


def test_the_reserved_name_is_not_used_and_the_authors_are() -> None:
    names = {record.nameID: record.toUnicode() for record in font()["name"].names}
    assert "STI Pub Companies" in names[0]
    assert all("STIX" not in names[number] for number in (1, 2, 3, 4, 6))


def test_the_same_signs_give_the_same_bytes() -> None:
    first = math_font.face(SIGNS)
    math_font._woff.cache_clear()
    assert math_font.face("".join(reversed(SIGNS))) == first
    assert math_font.face(SIGNS + "q") != first


def test_without_the_glyphs_there_is_no_rule(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(math_font.matplotlib, "get_data_path", lambda: str(tmp_path))
    assert math_font.face("no font for these: ⊗") == ""
