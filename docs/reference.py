"""The reference as Markdown: every public name with signature and docstring, a page for each part of the package."""

import inspect
import re
from typing import Any

import icl_theory
from icl_theory import claims, figures, grids, lessons, tasks

GROUPS = {
    "tasks": "Tasks and their laws",
    "models": "Models",
    "descent": "Descent",
    "risk": "Risk",
    "noise": "Noise",
    "information": "Information and bounds",
    "training": "Training",
    "truncation": "Truncation",
    "grids": "Findings on registered grids",
    "claims": "Claims",
    "figures": "Figures",
    "lessons": "Lessons",
    "core": "Estimates and settings",
}
_PARTS = {"claims": claims, "grids": grids, "figures": figures, "lessons": lessons, "tasks": tasks}
_SECTIONS = ("Args", "Returns", "Raises", "Source", "Example", "Fields", "Constant")


def pages() -> dict[str, str]:
    """Markdown by file name."""
    found: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    for name in sorted(icl_theory.__all__):
        value = getattr(icl_theory, name)
        if not inspect.ismodule(value):
            group = value.__module__.split(".")[1]
            found["claims" if group == "runs" else group][f"icl_theory.{name}"] = value
    for group, part in _PARTS.items():
        for name in sorted(part.__all__):
            value = getattr(part, name)
            if not inspect.ismodule(value) and value not in found[group].values():
                found[group][f"icl_theory.{group}.{name}"] = value
    return {
        f"reference_{group}": "\n".join([f"# {title}", "", *(_entry(*item) for item in sorted(found[group].items()))])
        for group, title in GROUPS.items()
    }


def _entry(name: str, value: Any) -> str:
    """Heading, signature, and the docstring."""
    lines = [f"## `{name}`", ""]
    if callable(value):
        lines += ["```python", _signature(name, value), "```", ""]
    lines += [_text(inspect.getdoc(value) or ""), ""]
    if inspect.isclass(value):
        for own, member in vars(value).items():
            called = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            if own.startswith("_") or not (inspect.isfunction(called) or isinstance(called, property)):
                continue
            head = "" if isinstance(called, property) else _signature(own, getattr(value, own))
            lines += [f"### `{name.rpartition('.')[2]}.{own}`", ""]
            lines += ["```python", head, "```", ""] if head else []
            lines += [_text(inspect.getdoc(called) or ""), ""]
    return "\n".join(lines)


def _signature(name: str, value: Any) -> str:
    """The call, an argument a line where it is long."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return f"{name}(...)"
    written = re.sub(r"'|(?:icl_theory|collections|typing|numpy|jax)(?:\.\w+)*\.(?=\w)", "", str(signature))
    call = f"{name}{written}"
    if len(call) <= 100:
        return call
    depth, result = 0, ""
    for sign in call:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(sign, 0)
        result += sign + ("\n   " if sign == "," and depth == 1 else "")
    return result


def _text(doc: str) -> str:
    """A docstring as Markdown: sections in bold, parameters as a list, examples as code."""
    lines, code, section = [], [], ""

    def flush() -> None:
        if code:
            lines.extend(["```pycon", *inspect.cleandoc("\n".join(code)).splitlines(), "```", ""])
            code.clear()

    for line in doc.splitlines():
        head = re.match(rf"({'|'.join(_SECTIONS)}):(?: (.*))?$", line)
        if head:
            flush()
            section = head[1]
            lines += ["", f"**{section}.** {_escaped(head[2] or '')}".rstrip(), ""]
        elif section == "Example" and line.strip():
            code.append(line)
        elif section in ("Args", "Fields") and (item := re.match(r" {4}(\w+): (.*)$", line)):
            lines.append(f"* `{item[1]}`: {_escaped(item[2])}")
        elif section in ("Args", "Fields") and line.startswith("     "):
            lines.append(f"  {_escaped(line.strip())}")
        else:
            if section in ("Args", "Fields") and not line.strip():
                section = ""
            lines.append(_escaped(line))
    flush()
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Text whose signs Markdown would read."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*$<\[\]|\\])", r"\\\1", part) for part in parts)
