"""A font for formulas that travels within the page, for readers whose system has none.

Browsers place scripts, fractions and roots by the MATH table of a font; phones and many servers have no font with one,
and then superscripts float a line too high. The glyphs are those of the STIX fonts that matplotlib ships (SIL Open Font
License 1.1, which allows this; the name is ours, as it asks), reduced to what a page needs. The table is written here.
"""

import base64
import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from fontTools import subset
from fontTools.otlLib.builder import buildMathTable
from fontTools.ttLib import TTFont

FAMILY = "icl theory math"
_SIZES = ("One", "Two", "Three")
"""Files of larger brackets and roots."""
_STRETCHED = "()[]{}√"
_ITALIC = {
    **{chr(ord("A") + i): chr(0x1D434 + i) for i in range(26)},
    **{chr(ord("a") + i): chr(0x1D44E + i) for i in range(26)},
    **{chr(0x391 + i): chr(0x1D6E2 + i) for i in range(25)},
    **{chr(0x3B1 + i): chr(0x1D6FC + i) for i in range(25)},
    "h": "\u210e",  # the only letter whose italic stands elsewhere
}
"""What a browser takes for a single letter in `mi`."""
_CONSTANTS = {
    "ScriptPercentScaleDown": 72,
    "ScriptScriptPercentScaleDown": 58,
    "DelimitedSubFormulaMinHeight": 1230,
    "DisplayOperatorMinHeight": 1230,
    "MathLeading": 150,
    "AxisHeight": 258,
    "AccentBaseHeight": 450,
    "FlattenedAccentBaseHeight": 662,
    "SubscriptShiftDown": 180,
    "SubscriptTopMax": 368,
    "SubscriptBaselineDropMin": 160,
    "SuperscriptShiftUp": 363,
    "SuperscriptShiftUpCramped": 289,
    "SuperscriptBottomMin": 113,
    "SuperscriptBaselineDropMax": 250,
    "SubSuperscriptGapMin": 150,
    "SuperscriptBottomMaxWithSubscript": 368,
    "SpaceAfterScript": 40,
    "FractionNumeratorShiftUp": 460,
    "FractionNumeratorDisplayStyleShiftUp": 640,
    "FractionDenominatorShiftDown": 460,
    "FractionDenominatorDisplayStyleShiftDown": 690,
    "FractionNumeratorGapMin": 68,
    "FractionNumDisplayStyleGapMin": 150,
    "FractionRuleThickness": 60,
    "FractionDenominatorGapMin": 68,
    "FractionDenomDisplayStyleGapMin": 150,
    "OverbarVerticalGap": 150,
    "OverbarRuleThickness": 60,
    "OverbarExtraAscender": 60,
    "RadicalVerticalGap": 80,
    "RadicalDisplayStyleVerticalGap": 150,
    "RadicalRuleThickness": 60,
    "RadicalExtraAscender": 60,
    "RadicalKernBeforeDegree": 276,
    "RadicalKernAfterDegree": -400,
    "RadicalDegreeBottomRaisePercent": 50,
    "UpperLimitGapMin": 135,
    "UpperLimitBaselineRiseMin": 300,
    "LowerLimitGapMin": 135,
    "LowerLimitBaselineDropMin": 670,
}
"""In thousandths of an em."""


def face(text: str) -> str:
    """A CSS rule @font-face with every sign of `text` in it, upright and italic; empty where the glyphs are missing."""
    data = _woff(frozenset(text))
    if not data:
        return ""
    source = f"url(data:font/woff;base64,{base64.b64encode(data).decode('ascii')})"
    return f'@font-face {{ font-family: "{FAMILY}"; src: {source} format("woff"); size-adjust: 107%; }}\n'


@cache
def _woff(signs: frozenset[str]) -> bytes:
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    if not (folder / "STIXGeneral.ttf").exists():
        return b""
    wanted = {*signs, *(_ITALIC[sign] for sign in signs if sign in _ITALIC), *_STRETCHED}
    font = _reduced(folder / "STIXGeneral.ttf", wanted)
    variants = _stretched(font, folder)
    glyphs: Any = font["glyf"]
    names, widths = _names(font), font["hmtx"].metrics
    letters = [names[ord(sign)] for sign in _ITALIC.values() if ord(sign) in names]
    corrections = {name: max(0, glyphs[name].xMax - widths[name][0]) for name in letters}
    centres = {name: (glyphs[name].xMin + glyphs[name].xMax) / 2 for name in letters}
    buildMathTable(font, _CONSTANTS, corrections, centres, minConnectorOverlap=20, vertGlyphVariants=variants)
    _rename(font)
    file = io.BytesIO()
    font.flavor = "woff"
    font.save(file)
    return file.getvalue()


def _names(font: TTFont) -> dict[int, str]:
    """Glyphs by code point."""
    return font.getBestCmap() or {}


def _reduced(path: Path, signs: Iterable[str]) -> TTFont:
    """The font with these signs and nothing for other uses."""
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=[0, 13])
    options.drop_tables += ["FFTM", "PfEd", "TeX "]
    font = TTFont(path, recalcTimestamp=False)
    tool = subset.Subsetter(options)
    tool.populate(unicodes=map(ord, signs))
    tool.subset(font)
    return font


def _stretched(font: TTFont, folder: Path) -> dict[str, list[tuple[str, int]]]:
    """Larger brackets and roots, taken into the font: names and heights by the name of the glyph in text size."""
    glyphs: Any = font["glyf"]
    names, order = _names(font), font.getGlyphOrder()
    variants = {names[ord(sign)]: [(names[ord(sign)], _height(glyphs[names[ord(sign)]]))] for sign in _STRETCHED}
    for size in _SIZES:
        other = TTFont(folder / f"STIXSiz{size}SymReg.ttf")
        outlines: Any = other["glyf"]
        for sign in _STRETCHED:
            name, base = _names(other)[ord(sign)], names[ord(sign)]
            new = f"{base}.{size.lower()}"
            order.append(new)
            glyphs.glyphs[new], font["hmtx"].metrics[new] = outlines[name], other["hmtx"].metrics[name]
            variants[base].append((new, _height(outlines[name])))
    font.setGlyphOrder(order)
    glyphs.glyphOrder = order
    return variants


def _height(glyph: Any) -> int:
    return glyph.yMax - glyph.yMin


def _rename(font: TTFont) -> None:
    for number, words in ((1, FAMILY), (2, "Regular"), (3, FAMILY), (4, FAMILY), (6, FAMILY.replace(" ", ""))):
        font["name"].setName(words, number, 3, 1, 0x409)
