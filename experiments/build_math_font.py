"""Builds the font that the report page sets formulas in, icl_theory/report/assets/math.woff.

    python experiments/build_math_font.py

Browsers place scripts, fractions and roots by the MATH table of a font; phones and many servers have no font with one,
and then superscripts float a line too high. The glyphs are those of the STIX fonts that matplotlib ships (SIL Open Font
License 1.1, which allows this; the name is ours, as it requires): what formulas can hold. The table is written here.
"""

import io
import unicodedata
from pathlib import Path
from typing import Any

import matplotlib
from fontTools import subset
from fontTools.otlLib.builder import buildMathTable
from fontTools.ttLib import TTFont

from icl_theory.report.page.assets import FAMILY

ASSET = Path(__file__).parents[1] / "icl_theory" / "report" / "assets" / "math.woff"
_SIZES = ("One", "Two", "Three")
"""Files of larger brackets and roots."""
STRETCHED = "()[]{}√"
"""What the formulas need in larger sizes."""
ITALIC = {
    **{chr(ord("A") + i): chr(0x1D434 + i) for i in range(26)},
    **{chr(ord("a") + i): chr(0x1D44E + i) for i in range(26)},
    **{chr(0x391 + i): chr(0x1D6E2 + i) for i in range(25) if i != 17},  # there is no capital final sigma
    **{chr(0x3B1 + i): chr(0x1D6FC + i) for i in range(25)},
    "h": "\u210e",  # the only letter whose italic stands elsewhere
}
"""What a browser takes for a single letter in `mi`."""
_MORE = (
    "\u00a0¬±×÷·°§½¼¾–—‘’“”†‡•…′″‴‖⟨⟩⌈⌉⌊⌋ ¨¯´¸ˆˇ˘˙˚˜ıȷ \u0300\u0301\u0302\u0303\u0304\u0307\u0308\u030c\u20d7"
    "¹²³ⁿ ϑϕϖϱϵ ℂℕℙℚℝℤ𝔼𝟙 ℋℒℓ ←↑→↓↔↕↦⇐⇒⇔⟵⟶"
    "∀∂∃∅∆∇∈∉∋∏∐∑−∓∕∖∗∘∙√∝∞∠∣∤∥∧∨∩∪∫∮∴∵∶∼≁≃≅≈≉≔≜≝≟≠≡≢≤≥≦≧≨≩≪≫≮≯≰≱≲≳≺≻≼≽⊀⊁⊂⊃⊄⊆⊇⊈⊊⊎⊕⊖⊗⊘⊙⊞⊠⊢⊤⊥⋀⋁⋂⋃⋄⋅⋆⋮⋯⋱"
)
"""Beside what one types, Greek letters and italics. A sign that is not here is set in another font of the reader's."""
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


def signs() -> set[str]:
    """Every character of the font."""
    typed = {chr(code) for code in range(0x20, 0x7F)}
    greek = {chr(code) for code in range(0x391, 0x3CA) if unicodedata.category(chr(code)) != "Cn"}
    return typed | greek | set(ITALIC.values()) | set(_MORE)


def build(wanted: set[str]) -> TTFont:
    """The font with these signs and larger ones for `STRETCHED`. Raises: ValueError for a sign that STIX lacks."""
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    font = _reduced(folder / "STIXGeneral.ttf", wanted | set(STRETCHED))
    variants = _stretched(font, folder)
    glyphs: Any = font["glyf"]
    names, widths = _names(font), font["hmtx"].metrics
    letters = [names[ord(sign)] for sign in ITALIC.values() if ord(sign) in names]
    corrections = {name: max(0, glyphs[name].xMax - widths[name][0]) for name in letters}
    centres = {name: (glyphs[name].xMin + glyphs[name].xMax) / 2 for name in letters}
    buildMathTable(font, _CONSTANTS, corrections, centres, minConnectorOverlap=20, vertGlyphVariants=variants)
    _rename(font)
    return font


def woff(font: TTFont) -> bytes:
    """The font as a browser reads it; woff2 would be a quarter smaller, but needs one more package to be read here."""
    file = io.BytesIO()
    font.flavor = "woff"
    font.save(file)
    return file.getvalue()


def _names(font: TTFont) -> dict[int, str]:
    """Glyphs by code point."""
    return font.getBestCmap() or {}


def _reduced(path: Path, signs: set[str]) -> TTFont:
    """The font with these signs and nothing for other uses."""
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=[0, 13])
    options.drop_tables += ["FFTM", "PfEd", "TeX "]
    font = TTFont(path, recalcTimestamp=False)
    if missing := sorted(signs - {chr(code) for code in _names(font)}):
        raise ValueError(f"signs: got {''.join(missing)!r}, expected what {path.name} has; leave them out")
    tool = subset.Subsetter(options)
    tool.populate(unicodes=map(ord, signs))
    tool.subset(font)
    return font


def _stretched(font: TTFont, folder: Path) -> dict[str, list[tuple[str, int]]]:
    """Larger brackets and roots, taken into the font: names and heights by the name of the glyph in text size."""
    glyphs: Any = font["glyf"]
    names, order = _names(font), font.getGlyphOrder()
    variants = {names[ord(sign)]: [(names[ord(sign)], _height(glyphs[names[ord(sign)]]))] for sign in STRETCHED}
    for size in _SIZES:
        other = TTFont(folder / f"STIXSiz{size}SymReg.ttf")
        outlines: Any = other["glyf"]
        for sign in STRETCHED:
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


if __name__ == "__main__":
    ASSET.write_bytes(woff(build(signs())))
    print(f"{ASSET}: {ASSET.stat().st_size} bytes")
