"""Words and signs that the page has for verdicts, origins, sections and labels."""

VERDICT_SIGNS = {
    "HOLDS": ("✓", "holds"),
    "FAILS": ("✗", "fails"),
    "DEPENDS": ("±", "depends"),
    "VACUOUS": ("∅", "vacuous"),
    "OUTSIDE": ("○", "outside"),
    "INCONCLUSIVE": ("?", "inconclusive"),
    "NONFINITE": ("!", "not finite"),
    "ERROR": ("!!", "error"),
}
"""Sign and words of a verdict; colour only repeats them."""
ORIGINS = {"paper": "as printed", "reading": "our reading", "repaired": "repaired", "new": "new"}
SECTIONS = {
    "paper": ("the paper", "The paper's statements, in its order, with their repairs and what is new about them"),
    "related": ("related results", "Related results that the paper, or an answer to it, stands on"),
    "outside": ("other packages", "Claims of other packages"),
}
"""Words of a section for a button, and for the heading above its statements."""
_NAMES = {"mlp": "MLP", "gd": "GD", "relu": "ReLU"}


def title(label: str) -> str:
    """The label as a heading: theorem_2_repaired becomes Theorem 2 repaired."""
    words = label.replace("_", " ").strip()
    words = words[:1].upper() + words[1:]
    return " ".join(_NAMES.get(word.lower(), word) for word in words.split())


def plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"
