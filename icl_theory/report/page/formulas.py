"""Sentences with formulas as HTML and MathML: every character of the source in the same order, none guessed.

Subscripts, superscripts, square roots and unambiguous fractions become layout, so that the signs which asked for
them (`_`, `^`, braces of a script, `sqrt( )`, `/` and the brackets around a fraction or its parts) go; "-" becomes a
minus sign and "'" a prime. Everything else, and all that is not a formula, stays as it was written.
"""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from icl_theory.report.page.elements import Markup, escaped, joined, tag
from icl_theory.report.page.formula_tokens import RELATIONS, Token, segments, tokens

WIDE = 24
"""A formula of more signs than this cannot be broken on a phone and gets a line, and a scroll bar, of its own."""
_BLANKS = re.compile("[ \t\n\f\r]+")
"""What a browser shows as one blank."""
_WIDE_END = "</math></span>"
_THIN = Markup('<mspace width="0.17em"></mspace>')
_ACCENTS = str.maketrans("\u0302\u0303\u0304", "ˆ˜¯")  # combining marks have no width to be centred by
_UPRIGHT = set("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ∂∇∞½√")


def sentence(text: str, *, display: bool = False) -> Markup:
    """`text` as HTML, its formulas as MathML, everything else escaped.

    With `display`, fractions are set one above the other; within running text they keep their slash.
    """
    parts: list[Markup] = []
    for formula, run in segments(_BLANKS.sub(" ", text)):
        if formula:
            joint = bool(parts) and parts[-1][-1:].isalnum()  # no line may be broken where the source has no space
            parts += [Markup("\N{WORD JOINER}")] * joint + _formula(run, display)
            continue
        words = joined(*map(_text, run, [*run[1:], None]))
        if parts and parts[-1].endswith(_WIDE_END) and words[:1] in {",", ".", ";", ":"}:
            # Punctuation goes with the formula before it, which may be a line of its own.
            parts[-1], words = Markup(f"{parts[-1].removesuffix('</span>')}{words[0]}</span>"), words[1:]
        elif parts and parts[-1].endswith("</math>") and words[:1] in {",", ".", ";", ":", ")"}:
            parts[-1], words = tag("span", parts[-1], words[0], class_="kept"), words[1:]
        parts.append(words)
    return joined(*parts)


def _text(token: Token, after: Token | None) -> Markup:
    """A token outside formulas; names in back-ticks and with underscores are code, and "1 %" is not broken."""
    if token.kind == "code" and ("_" in token.raw or token.raw[0] == "`") and len(token.raw) > 2:
        return tag("code", token.raw.strip("`"))
    return Markup("&nbsp;") if token.raw == " " and after is not None and after.raw == "%" else escaped(token.raw)


def _formula(run: Sequence[Token], display: bool) -> list[Markup]:
    """One `math` element; a long one may be broken before relations outside all brackets."""
    nodes = _tree(run)
    if sum(map(_length, nodes)) <= WIDE:
        return [_after_words(tag("math", _row(nodes, display)))]
    chunks: list[list[_Node]] = [[]]
    for node in nodes:
        if chunks[-1] and node.operator and node.token.text in RELATIONS:
            chunks.append([])
        chunks[-1].append(node)
    made = [_chunk(chunk, display) for chunk in chunks]
    made[0] = _after_words(made[0])
    # A line of its own needs no place to break before it or behind it; one would be an empty line.
    broken = [not any(part.endswith(_WIDE_END) for part in pair) for pair in itertools.pairwise(made)]
    places = [Markup("<wbr>") if place else Markup() for place in broken]
    return [made[0], *(part for place, chunk in zip(places, made[1:], strict=True) for part in (place, chunk) if part)]


def _after_words(made: Markup) -> Markup:
    """A formula that begins with a sign has the space of the sentence before it, and needs no other."""
    return Markup(re.sub('^((?:<span[^>]*>)?<math><mo form="infix")>', r'\1 lspace="0">', str(made)))


def _chunk(nodes: Sequence[_Node], display: bool) -> Markup:
    made = tag("math", _row(nodes, display))
    return made if sum(map(_length, nodes)) <= WIDE else tag("span", made, class_="wide")


def _length(node: _Node) -> int:
    """Signs side by side, scripts counted as half."""
    own = len(node.token.text) + (len(node.token.sub) + len(node.token.sup) + 1) // 2
    return own if node.inner is None else own + 1 + sum(map(_length, node.inner))


