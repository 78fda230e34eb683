"""The lessons as files: the scripts they are kept as, the notebooks and pages they are turned into."""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icl_theory.core import checks

ENDINGS = (".py", ".ipynb", ".html")
"""The script as it is kept, a notebook to run, a page with all results that needs no network."""
_NEEDED = "python -m pip install 'icl-theory[lessons]'"


@dataclass(frozen=True)
class Lesson:
    """A lesson and where its script is."""

    number: int
    title: str
    path: Path


def lessons() -> tuple[Lesson, ...]:
    """All lessons in their order.

    Example:
        >>> from icl_theory.lessons import lessons
        >>> lessons()[0].title
        'one attention layer is one update'
    """
    found = []
    for path in sorted(_folder().glob("lesson_*.py")):
        title = re.search(r"^# # Lesson (\d+): (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        if title is not None:
            found.append(Lesson(int(title[1]), title[2], path))
    return tuple(found)


def write_lesson(number: int, out: str | Path) -> Path:
    """Write a lesson: the script (.py), a notebook (.ipynb), or a page with the results of a run of it (.html).

    Args:
        number: of the lesson, from 1.
        out: the file; its ending says what it is to be. A file that is there is not overwritten.

    Returns: the file.
    Raises: ValueError for a lesson that does not exist, another ending, a file that is there, or packages that are
        missing; nbclient's error where a cell fails.

    Example:
        >>> import tempfile
        >>> from icl_theory.lessons import write_lesson
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_lesson(1, f"{folder}/first.ipynb").stat().st_size > 1000
        True
    """
    from icl_theory.records.files import write_bytes

    known, out = {lesson.number: lesson for lesson in lessons()}, Path(out)
    if number not in known:
        numbers = ", ".join(map(str, known))
        raise checks.error("lesson", str(number), f"one of {numbers}", "`icl-theory lesson` lists them")
    checks.choice("ending of the file", out.suffix.lower(), ENDINGS)
    _require_new(out)
    lesson = known[number]
    if out.suffix == ".py":
        return write_bytes(out, lesson.path.read_bytes())
    notebook = _notebook(lesson)
    if out.suffix == ".html":
        return write_bytes(out, _page(lesson, _run(notebook)).encode("utf-8"))
    import nbformat

    return write_bytes(out, (nbformat.writes(notebook) + "\n").encode("utf-8"))


def write_page(out: str | Path) -> Path:
    """Write the interactive page, one HTML file that computes in the browser. Args and errors: as `write_lesson`.

    Args:
        out: the file, with the ending .html; one that is there is not overwritten.

    Example:
        >>> import tempfile
        >>> from icl_theory.lessons import write_page
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_page(f"{folder}/page.html").stat().st_size < 400_000
        True
    """
    from icl_theory.lessons.interactive import page
    from icl_theory.records.files import write_bytes

    out = Path(out)
    checks.choice("ending of the file", out.suffix.lower(), (".html",))
    _require_new(out)
    return write_bytes(out, page().encode("utf-8"))


def _require_new(out: Path) -> None:
    if out.exists():
        raise checks.error("out", f"{str(out)!r}, which is there", "a new file", "name another one, or remove it")


def _folder() -> Path:
    """Beside this file in an installed package, in experiments/ of a checkout."""
    installed = Path(__file__).parent / "scripts"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "experiments" / "lessons"


def _notebook(lesson: Lesson) -> Any:
    try:
        import jupytext
    except ModuleNotFoundError:
        raise checks.error("packages", "no jupytext", "the packages that make notebooks", _NEEDED) from None
    return jupytext.read(lesson.path)


def _run(notebook: Any) -> Any:
    """The notebook with the results of a run of it."""
    try:
        from nbclient import NotebookClient
    except ModuleNotFoundError:
        raise checks.error("packages", "no nbclient", "the packages that run notebooks", _NEEDED) from None
    quiet = ["--IPKernelApp.log_level=40"]
    return NotebookClient(notebook, timeout=600, kernel_name="python3", extra_arguments=quiet).execute()


def _page(lesson: Lesson, notebook: Any) -> str:
    """One file that needs no network: formulas are MathML, pictures stand in the page."""
    from nbconvert import HTMLExporter

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_formulas(cell.source)
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    title = html.escape(f"Lesson {lesson.number}: {lesson.title}")
    head = f'<head>\n<meta charset="utf-8">\n<title>{title}</title>\n{_STYLE}\n</head>'
    return f'<!doctype html>\n<html lang="en">\n{head}\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n'


def with_formulas(text: str) -> str:
    """Markdown whose formulas, between $ or $$, are MathML."""
    try:
        from latex2mathml.converter import convert
    except ModuleNotFoundError:
        raise checks.error("packages", "no latex2mathml", "the packages that make pages", _NEEDED) from None

    text = re.sub(r"\$\$(.+?)\$\$", lambda found: convert(found[1].strip(), display="block"), text, flags=re.DOTALL)
    return re.sub(r"\$([^$\n]+(?:\n[^$\n]+)?)\$", lambda found: convert(found[1].strip()), text)


_STYLE = """<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --code: #f3f3f0; --line: #ccc; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #e6e6e6; --code: #22252b; --line: #444; } }
body { background: var(--paper); color: var(--ink); font: 17px/1.55 Georgia, "Times New Roman", serif; margin: 0; }
main { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; font-weight: 600; }
pre { background: var(--code); padding: .6rem .8rem; white-space: pre-wrap; }
pre, code { font: 14px/1.45 ui-monospace, Menlo, monospace; }
.output_stream pre, .output_text pre { background: none; border-left: 3px solid var(--line); }
.prompt, .jp-InputPrompt, .jp-OutputPrompt, .anchor-link { display: none; }
img { max-width: 100%; background: #fff; }
math[display=block] { margin: .8rem 0; overflow: auto hidden; padding: .2rem 0; }
</style>"""
