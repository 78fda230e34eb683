"""Configuration of the documentation; `python -m sphinx -W docs DIR` builds it, readable without a network.

The reference is made from the docstrings and the lessons from `experiments/lessons` whenever it is built.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import latex2mathml.converter
from docutils.nodes import SkipNode

from icl_theory import __version__
from icl_theory.lessons import lessons

HERE = Path(__file__).parent

project = "icl_theory"
author = "The icl_theory authors"
copyright = author
version = release = __version__

extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".py": "myst-nb"}
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
exclude_patterns = ["conf.py", "reference.py"]
html_theme = "furo"
html_title = "icl_theory"
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"


def _written(folder: str) -> Path:
    """An empty folder for pages that are made."""
    path = HERE / folder
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def _made() -> None:
    """The pages that are not kept: reference, lessons, and what stands outside of this folder."""
    sys.path.insert(0, str(HERE))  # Sphinx runs this file, which is in no package
    import reference

    folder = _written("made")
    for name, text in reference.pages().items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    for lesson in lessons():
        shutil.copy(lesson.path, folder)
    contributing = (HERE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (folder / "contributing.md").write_text(contributing.replace("](docs/", "](../"), encoding="utf-8")


def _links(_app: Any, name: str, source: list[str]) -> None:
    """Links to files outside of this folder lead to their pages here, or are only named where they have none."""
    text = source[0].replace("](../CONTRIBUTING.md", "](made/contributing.md")
    if name == "made/contributing":
        text = re.sub(r"\[([^\]]+)\]\((?!\.\./|https?:|#)[^)]+\)", r"\1", text)
    source[0] = text


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(latex2mathml.converter.convert(node.astext()))
    raise SkipNode


def _block(translator: Any, node: Any) -> None:
    translator.body.append(latex2mathml.converter.convert(node.astext(), display="block"))
    raise SkipNode


def setup(app: Any) -> None:
    """Formulas as MathML, which needs no script and no network."""
    _made()
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("source-read", _links)
