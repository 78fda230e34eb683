"""Sentences with marked formulas as HTML and MathML: every character of the source in the same order, none guessed.

What stands between marks (`icl_theory.core.marks`) is set as a formula, all else stays as it was written; names in
back-ticks and names with underscores are code.
"""

import itertools
import re
from collections.abc import Sequence

from icl_theory.core import marks
from icl_theory.report.page.elements import Markup, escaped, joined, tag
from icl_theory.report.page.formula_layout import Node, row, tree
from icl_theory.report.page.formula_tokens import RELATIONS, tokens

WIDE = 24
"""A formula of more signs than this cannot be broken on a phone and gets a line, and a scroll bar, of its own."""
_SHORT = 4  # signs
_BLANKS = re.compile("[ \t\n\f\r]+")
"""What a browser shows as one blank."""
_CODE = re.compile(r"(`[^`]+`|\b[A-Za-z]{3,}[A-Za-z0-9]*(?:_[A-Za-z0-9]+)+)")
_WIDE_END = "</math></span>"
_JOINER = Markup("\N{WORD JOINER}")


def sentence(text: str, *, display: bool = False) -> Markup:
    """`text` as HTML, its marked formulas as MathML, everything else escaped.

    With `display`, fractions are set one above the other; within running text they keep their slash.
    """
    made: list[Markup] = []
    for formula, part in marks.parts(_BLANKS.sub(" ", text)):
        # No line may be broken where the source has no space.
        joint = [_JOINER] if made and made[-1][-1:] not in {" ", ">"} else []
        made += [*joint, *_formula(part, display)] if formula else [_behind(made, part)]
    return joined(*made)


def _behind(made: list[Markup], words: str) -> Markup:
    """Words as HTML; the sign they begin with is kept with the formula before them, which it may follow into `made`."""
    if made and made[-1].endswith(_WIDE_END) and words[:1] in {",", ".", ";", ":"}:
        # The formula may be a line of its own.
        made[-1], words = Markup(f"{made[-1].removesuffix('</span>')}{words[0]}</span>"), words[1:]
    elif made and made[-1].endswith("</math>") and words[:1] in {",", ".", ";", ":", ")"}:
        made[-1], words = tag("span", made[-1], words[0], class_="kept"), words[1:]
    elif made and made[-1].endswith("</math>") and words[:1] not in {"", " "}:
        return joined(_JOINER, _words(words))
    return _words(words)


def _words(text: str) -> Markup:
    """What is no formula; names are code, and "1 %" is not broken."""
    pieces = enumerate(_CODE.split(text))  # every other one is a name
    return joined(*(tag("code", part.strip("`")) if i % 2 else _unbroken(part) for i, part in pieces))


def _unbroken(text: str) -> Markup:
    return Markup("&nbsp;%").join(escaped(part) for part in text.split(" %"))


def _formula(source: str, display: bool) -> list[Markup]:
    """One `math` element; a long one may be broken before relations outside all brackets."""
    nodes = tree(tokens(source))
    if _signs(nodes) <= WIDE:
        return [_after_words(tag("math", row(nodes, display)))]
    made = [_chunk(chunk, display) for chunk in _chunks(nodes)]
    made[0] = _after_words(made[0])
    # A line of its own needs no place to break before it or behind it; one would be an empty line.
    broken = [not any(part.endswith(_WIDE_END) for part in pair) for pair in itertools.pairwise(made)]
    places = [Markup("<wbr>") if place else Markup() for place in broken]
    return [made[0], *(part for place, chunk in zip(places, made[1:], strict=True) for part in (place, chunk) if part)]


def _chunks(nodes: Sequence[Node]) -> list[list[Node]]:
    """The formula cut before its relations; a short left side stays with what it is the left side of."""
    chunks: list[list[Node]] = [[]]
    for node in nodes:
        if chunks[-1] and node.operator and node.token.text in RELATIONS:
            chunks.append([])
        chunks[-1].append(node)
    if len(chunks) > 1 and _signs(chunks[0]) <= _SHORT:
        alone, together = _signs(chunks[1]), _signs([*chunks[0], *chunks[1]])
        chunks[:2] = [[*chunks[0], *chunks[1]]] if alone > WIDE or together <= WIDE else chunks[:2]
    return chunks


def _after_words(made: Markup) -> Markup:
    """A formula that begins with a sign has the space of the sentence before it, and needs no other."""
    return Markup(re.sub('^((?:<span[^>]*>)?<math><mo form="infix")>', r'\1 lspace="0">', str(made)))


def _chunk(nodes: Sequence[Node], display: bool) -> Markup:
    made = tag("math", row(nodes, display))
    return made if _signs(nodes) <= WIDE else tag("span", made, class_="wide", tabindex="0")


def _signs(nodes: Sequence[Node]) -> int:
    return sum(map(_length, nodes))


def _length(node: Node) -> int:
    """Signs side by side, scripts counted as half."""
    own = len(node.token.text) + (len(node.token.sub) + len(node.token.sup) + 1) // 2
    return own if node.inner is None else own + 1 + sum(map(_length, node.inner))
