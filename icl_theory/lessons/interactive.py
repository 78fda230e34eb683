"""The interactive page: one file that computes in the browser and needs no server and no network."""

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("numerics.js", "descent.js", "bounds.js", "state.js", "view.js", "page.js")
GROUPS = {
    "Model": {"model": "Weights", "layers": "Layers L", "eta": "Step size η", "gamma": "Input step γ of GD++"},
    "Prompts": {
        "shots": "Demonstrations shown, b",
        "total": "of N in all",
        "noise": "Label noise σ",
        "spread": "Variance of the second input",
        "prompt": "Prompt",
    },
    "Truncation": {"module": "Module", "layer": "Layer", "rank": "Rank kept"},
}
CLAIMS = (
    *("lemma_1", "gradient_descent_construction", "gd_plus_plus_construction", "trained_gd_plus_plus"),
    *("support_dimension", "theorem_2_printed", "theorem_2_repaired", "readout_bound", "wishart_information"),
    *("truncation_optimal", "readout_value", "truncation_trap"),
)
"""Labels of the claims that the page rests on."""


def page() -> str:
    """The page as HTML.

    Example:
        >>> from icl_theory.lessons.interactive import page
        >>> page().startswith("<!doctype html>")
        True
    """
    from jinja2 import Environment, StrictUndefined

    from icl_theory.report.page.formulas import sentence

    environment = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    template = environment.from_string(re.sub(r"\$[^$]+\$", lambda formula: str(sentence(formula[0])), text))
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return template.render(
        css=(FOLDER / "page.css").read_text(encoding="utf-8"),
        script=script.replace('"use strict";\n', ""),
        trained=(FOLDER / "trained.json").read_text(encoding="utf-8"),
        groups=GROUPS,
        controls=controls(),
        claims=_claims(),
    )


def controls() -> dict[str, Any]:
    """The controls as the script of the page lists them: the words of a choice, or [from, to, step], and the start."""
    source = (FOLDER / "state.js").read_text(encoding="utf-8")
    found = re.search(r"const CONTROLS = (\{.*?\n\});", source, re.DOTALL)
    if found is None:
        raise RuntimeError("state.js has no CONTROLS")
    text = re.sub(r"(\w+):", r'"\1":', found[1])
    return json.loads(re.sub(r",(\s*[}\]])", r"\1", text))


def _claims() -> list[dict[str, str]]:
    from icl_theory.claims.engine.expected_verdicts import expected_verdicts
    from icl_theory.claims.registry import load
    from icl_theory.report.page.formulas import sentence

    verdicts = expected_verdicts()
    return [
        {"label": label, "statement": str(sentence(load(label).statement)), "verdict": str(verdicts[label])}
        for label in CLAIMS
    ]
