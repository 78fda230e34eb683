"""Formulas on the page: nothing lost, nothing altered, nothing unescaped, and the structure that was meant."""

import html
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_theory.claims.order import LABELS
from icl_theory.claims.record import _words
from icl_theory.claims.registry import load
from icl_theory.core import marks
from icl_theory.report.page import formulas
from icl_theory.report.page.elements import Markup, escaped, joined, tag
from icl_theory.report.page.formula_tokens import tokens


def sentence(text: str, *, display: bool = False) -> str:
    """As text that a test may take apart: `Markup` would escape what is put into it."""
    made = formulas.sentence(text, display=display)
    assert isinstance(made, Markup)
    return str(made)


def parsed(markup: str) -> ElementTree.Element:
    """The markup as a tree: it must be well formed."""
    return ElementTree.fromstring(f"<p>{markup.replace('<wbr>', '').replace('&nbsp;', '&#160;')}</p>")


def children_in_line(element: ElementTree.Element) -> str:
    return (element.text or "") + "".join(in_line(child) + (child.tail or "") for child in element)


def in_line(element: ElementTree.Element) -> str:
    """The formula written out in a line again, by the rules of notation and not of the converter."""
    parts = [in_line(child) for child in element]
    # A row of several things stood in brackets; a letter and its prime are one thing.
    inner = [c.tag == "mrow" and sum(not set(part.text or "x") <= {"′"} for part in c) > 1 for c in element]
    if element.tag in ("msub", "msup", "msubsup"):
        return "".join(parts)
    if element.tag == "mfrac":
        over, under = (f"({part})" if several else part for part, several in zip(parts, inner, strict=True))
        whole = f"{over}/{under}"
        return f"({whole})" if element.get("class") == "bracketed" else whole
    if element.tag == "msqrt":
        return f"sqrt({''.join(parts)})"
    return children_in_line(element)


def bare(text: str) -> str:
    """Without spaces, marks of layout, and the difference between a sign and its typographic form."""
    text = unicodedata.normalize("NFKD", text).replace("-", "−").replace("'", "′").replace("ˆ", "\u0302")
    dropped = "_^{}`\N{REPLACEMENT CHARACTER}\N{WORD JOINER}"
    return "".join(
        c for c in text if not c.isspace() and c not in dropped and unicodedata.category(c) not in ("Cc", "Cs", "Cn")
    )


def texts() -> Iterator[str]:
    """Every text of every claim that the page shows."""
    for label in LABELS:
        claim = load(label)
        yield from (claim.source, claim.statement, claim.explanation, *(a.sentence for a in claim.assumptions))
        yield from (control.name for control in claim.controls)
        yield from map(_words, (claim.measure, claim.predict, claim.proof))


def formulas_of(text: str) -> list[str]:
    return [part for formula, part in marks.parts(text) if formula]


def assert_nothing_lost(text: str, *, display: bool) -> None:
    assert bare(in_line(parsed(sentence(text, display=display)))) == bare(marks.unmarked(text))


def test_lossless() -> None:
    """Every claim is converted without loss."""
    seen = list(texts())
    assert len(seen) > 7 * len(LABELS)
    for text in seen:
        assert_nothing_lost(text, display=True)
        assert_nothing_lost(text, display=False)


def test_paired_marks() -> None:
    """Marks of every claim are in pairs and no sign of notation is left over."""
    found = [formula for text in texts() for formula in formulas_of(text)]
    assert len(found) > 800
    assert all(marks.balanced(text) for text in texts())
    assert [formula for formula in found if any(token.kind == "other" for token in tokens(formula))] == []
    set_in_lines = [re.sub("<[^>]*>", "", sentence(f"${formula}$")) for formula in found]
    assert [line for line in set_in_lines if set("_^$") & set(line)] == []


def test_nothing_unmarked() -> None:
    """Greek letters, relations and letters with scripts belong between marks; names of rungs and claims do not."""
    unmistakable = re.compile(r"[Α-Ωα-ω²³ᵀ≤≥≠≻∞∂½]|\b[A-Za-z]_|[A-Za-z] = |\|\|")
    ladder_order = load("ladder_order").statement
    outside = ["".join(f" {part}" for formula, part in marks.parts(text) if not formula) for text in texts()]
    assert [words for words in outside if unmistakable.search(words) and "gaussian ≤ isotropic" not in words] == []
    assert "gaussian ≤ isotropic" in ladder_order
    assert unmistakable.search("of W_K, at ξ = 0.5")


PIECES = [
    *"abxW ID12 ()[]{}_^|/=≤+-·⊗,;:.%'ᵀ²⁻¹₁Σσ∂ĥ<>&\"`",
    "||",
    "sqrt(",
    "log ",
    "tr ",
    " the ",
    "(1/N)",
    "$",
    "$",
    "$",
    "\\$",
    "...",
    "!",
]
NOTATION = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@given(st.one_of(st.text(max_size=60), NOTATION))
def test_no_text_lost(text: str) -> None:
    """No text is rejected, lost or left unescaped."""
    for display in (True, False):
        markup = sentence(text, display=display)
        tree = parsed(markup)
        assert bare(in_line(tree)) == bare(marks.unmarked(text))
        assert {element.tag for element in tree.iter()} <= ALLOWED


ALLOWED = {"p", "code", "span", "math", "mrow", "mi", "mn", "mo", "mtext", "mspace"}
ALLOWED |= {"msub", "msup", "msubsup", "mfrac", "msqrt", "mover"}


def test_the_oracle_sees_a_loss() -> None:
    """Negative controls: the comparison above can fail."""
    markup = sentence("$C = (N-b)/(b(N-1)) tr S$", display=True)
    for wrong in (markup.replace("<mi>S</mi>", ""), markup.replace("tr", "rt"), markup.replace("mfrac", "mrow")):
        assert wrong != markup
        assert bare(in_line(parsed(wrong))) != bare("C = (N-b)/(b(N-1)) tr S")


def shape(text: str, *, display: bool = True) -> str:
    """The MathML of a formula without attributes."""
    return re.sub(r"<(\w+)[^>]*>", r"<\1>", sentence(f"${text}$", display=display)).replace("<mspace></mspace>", "~")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W_K", "<math><msub><mi>W</mi><mrow><mi>K</mi></mrow></msub></math>"),
        ("Wᵀ", "<math><msup><mi>W</mi><mi>T</mi></msup></math>"),
        ("h_q^L", "<math><msubsup><mi>h</mi><mrow><mi>q</mi></mrow><mrow><mi>L</mi></mrow></msubsup></math>"),
        ("D'", "<math><mrow><mi>D</mi><mo>′</mo></mrow></math>"),
        ("x ≤ 1/N", "<math><mi>x</mi><mo>≤</mo><mfrac><mn>1</mn><mi>N</mi></mfrac></math>"),
        ("(1/N) Σ", "<math><mfrac><mn>1</mn><mi>N</mi></mfrac>~<mi>Σ</mi></math>"),
        ("G^2_F", "<math><msub><msup><mi>G</mi><mrow><mn>2</mn></mrow></msup><mrow><mi>F</mi></mrow></msub></math>"),
        ("sqrt(R)", "<math><msqrt><mi>R</mi></msqrt></math>"),
        ("log det C", "<math><mi>log</mi>~<mi>det</mi>~<mi>C</mi></math>"),
        ("-x", "<math><mo>−</mo><mi>x</mi></math>"),
        ("I", "<math><mi>I</mi></math>"),
        ("W_V", "<math><msub><mi>W</mi><mrow><mi>V</mi></mrow></msub></math>"),
        ("E lower", "<math><mi>E</mi>~<mtext>lower</mtext></math>"),
        ("loss'", "<math><mrow><mtext>loss</mtext><mo>′</mo></mrow></math>"),
        ("n!", "<math><mi>n</mi><mo>!</mo></math>"),
        ("1, ..., b", "<math><mn>1</mn><mo>,</mo><mi>…</mi><mo>,</mo><mi>b</mi></math>"),
        ("k^α", "<math><msup><mi>k</mi><mrow><mi>α</mi></mrow></msup></math>"),
        ("h ~ N", "<math><mi>h</mi><mo>~</mo><mi>N</mi></math>"),
    ],
)
def test_structure(text: str, expected: str) -> None:
    assert shape(text) == expected


@pytest.mark.parametrize("text", ["D(D+1)/2", "2 R / N x", "a / b / c", "x_q (a+b)/c", "f(x)/g(y)", "1/(a+b)c"])
def test_doubtful_slash(text: str) -> None:
    """A slash that leaves a doubt stays."""
    assert "<mfrac>" not in shape(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12Q - 2g", "<math><mn>12</mn><mi>Q</mi><mo>−</mo><mn>2</mn><mi>g</mi></math>"),
        (
            "(a+b)/(4N)",
            "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mrow><mn>4</mn><mi>N</mi></mrow></mfrac></math>",
        ),
        ("Ŵ x", "<math><mover><mi>W</mi><mo>ˆ</mo></mover>~<mi>x</mi></math>"),
    ],
)
def test_number_before_letter(text: str, expected: str) -> None:
    """A number before a letter is a factor."""
    assert shape(text) == expected


def test_punctuation() -> None:
    """A short formula and the sign behind it are kept on one line; a long one has a line of its own with its sign."""
    assert sentence("so $W_t$, and").endswith("</math>,</span> and")
    assert '<span class="kept"><math>' in sentence("so $W_t$, and")
    assert "kept" not in sentence("so $W_t$ and")
    assert re.search(
        r'class="wide" tabindex="0"><math>.*</math>\.</span>$',
        sentence("$S = a + b + c + d + e + f + g + h + i + j + k + l + m + n + o$."),
    )


def test_two_long_formulas() -> None:
    """No empty line between two long formulas."""
    both = (
        "a + b + c + d + e + f + g + h + i + j + k + l + m + n = a + b + c + d + e + f + g + h + i + j + k + l + m + n"
    )
    assert sentence(f"${both}$").count('class="wide"') == 2
    assert "<wbr>" not in sentence(f"${both}$")
    assert sentence("$I(W_L; H_s) ≤ I(W_{1:L}; H_s) ≤ Σ_t I(W_t; H_s | W_{t-1})$").count("<wbr>") == 2


def test_leading_sign() -> None:
    """A formula that begins with a sign has one space before it."""
    assert '<math><mo form="infix" lspace="0">≤</mo>' in sentence("gap $≤ c$")
    assert 'lspace="0"' not in sentence("$gap ≤ c$")


def test_slash_in_text() -> None:
    """Running text keeps its slash."""
    assert "<mfrac>" in shape("(N-b)/(b(N-1))")
    assert "<mfrac>" not in shape("(N-b)/(b(N-1))", display=False)


@pytest.mark.parametrize(
    "text",
    [
        "A smaller norm of a matrix gives a smaller bound.",
        "As I said",
        "x86 and H100",
        "option B",
        "ΔW = W_V S W_Kᵀ W_Q without marks",
        "from $5 to $6, or one $ alone",
        "100$",
        "$$",
        "Theorem 2 at most 1 % of 25 cases, within 1e-6",
        "the rank-r approximation (noise as defined in Assumption 1)",
        "gaussian ≤ isotropic ≤ isotropic_zero",
        "see arXiv:2406.03768v2, margin 165 s.e.; 9 vacuous",
        "<script>alert(1)</script> & 'single' \"double\"",
        "",
    ],
)
def test_unmarked_words(text: str) -> None:
    """What has no marks stays words."""
    assert "<math" not in sentence(text)
    assert html.unescape(re.sub("</?code>", "", sentence(text))).replace("\N{NO-BREAK SPACE}", " ") == text


def test_dollar_sign() -> None:
    """A dollar sign that is meant is one."""
    assert sentence(r"\$5 and $x$ and \$6") == "$5 and <math><mi>x</mi></math> and $6"


def test_hostile_formula() -> None:
    """Hostile text within marks is escaped."""
    for text in ("<script>alert(1)</script>", "x<img src=x onerror=y>", "a & b", "\"'>"):
        markup = sentence(f"so ${text}$ it is")
        assert "<math" in markup
        assert not re.search("<(?:script|img)", markup)
        assert {element.tag for element in parsed(markup).iter()} <= ALLOWED
        assert bare(in_line(parsed(markup))) == bare(f"so {text} it is")


def test_words_in_a_formula() -> None:
    """Words in a formula have blanks about them."""
    assert sentence("$E lower ≤ I$").count('<mspace width="0.27em">') == 1
    assert sentence("$k = dim(row space A ∩ B)$").count('<mspace width="0.27em">') == 2
    assert sentence("$x y$").count('<mspace width="0.17em">') == 1
    assert sentence("$log(error, clipped)$").count('<mspace width="0.17em">') == 1


def test_names_are_code() -> None:
    assert sentence("see lemma_4 and `more`: isotropic_zero") == (
        "see <code>lemma_4</code> and <code>more</code>: <code>isotropic_zero</code>"
    )


LONG = load("theorem_2_repaired").statement


def test_long_formula() -> None:
    """A long formula can be broken and scrolled."""
    markup = sentence(LONG, display=True)
    assert markup.count('class="wide"') == 1
    assert "<wbr>" in sentence("$W_t = W_1 + W_2 + W_3 + W_4 + W_5 + W_6 + W_7 + W_8 = Σ_j G_j + Σ_j H_j$")
    assert "<wbr>" not in sentence("$ΔW = W_V S W_Kᵀ W_Q$")
    assert re.search(r"</math>,</span>", markup)  # the comma goes with its formula


def test_line_breaks() -> None:
    """No line is broken where there is no blank."""
    joiner = "\N{WORD JOINER}"
    assert sentence("rank-$r$-version") == f"rank-{joiner}<math><mi>r</mi></math>{joiner}-version"
    assert sentence("($r$)") == f'({joiner}<span class="kept"><math><mi>r</mi></math>)</span>'
    assert joiner not in sentence("a $r$ b")


def test_short_left_side() -> None:
    """Before a right side that has a line of its own, it would be all there is in its line."""
    for left in ("k", "gap"):
        markup = sentence(f"${left} ≤ a + b + c + d + e + f + g + h + i + j + k + l + m + n$")
        assert markup.startswith('<span class="wide" tabindex="0"><math>')
        assert markup.count("<math>") == 1
    assert sentence("$k ≤ a + b + c + d + x + y = e + f + g + h + i + j$").count("<math>") == 2
    assert sentence("$a + b + c ≤ a + b + c + d + e + f + g + h + i + j + k + l + m + n$").count("<math>") == 2


def test_bars_open_and_close() -> None:
    forms = re.findall(r'form="(\w+)" stretchy="false">\|', sentence("$||a|| ||b + |c|||² p || q$"))
    assert forms[:4] == ["prefix", "postfix", "prefix", "prefix"]
    assert re.findall(r'form="(\w+)" stretchy="false">\|', sentence("$(P || Q)$")) == ["infix"]


def test_blanks() -> None:
    """Between two tags a template's layout would swallow them."""
    assert sentence("`a`  `b`\n`c` \t $W$") == "<code>a</code> <code>b</code> <code>c</code> <math><mi>W</mi></math>"
    assert sentence("1\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}2") == "1\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}2"


def test_escaping() -> None:
    """Text is escaped and markup is not."""
    assert html.unescape(escaped("<b a=\"1\" c='2'>&")) == "<b a=\"1\" c='2'>&"
    assert not set("<>\"'") & set(escaped("<b a=\"1\" c='2'>&"))
    assert escaped(Markup("<b>")) == "<b>"
    assert tag("i", "<", Markup("<br>"), None, title="<", lang=None, class_="x", aria_label="a b") == (
        '<i title="&lt;" class="x" aria-label="a b">&lt;<br></i>'
    )
    assert escaped("a\x00\ud800b") == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"
    assert joined("<", None, Markup("<br>"), 2) == "&lt;<br>2"
