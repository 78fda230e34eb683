"""What the package keeps in the user's cache directory, shown and cleared."""

import shutil
from typing import Any

from icl_theory.core.cache_folders import cache_folder, ensembles_folder, programs_folder


def contents() -> dict[str, Any]:
    """The folder, its compiled programs in number and bytes, and every trained ensemble with its settings."""
    from icl_theory.training.ensemble_cache import EnsembleCache, about

    programs = list(programs_folder().glob("*-cache"))
    return {
        "folder": str(cache_folder()),
        "programs": {"files": len(programs), "bytes": sum(path.stat().st_size for path in programs)},
        "ensembles": [about(path) for path in EnsembleCache(ensembles_folder()).files()],
    }


def clear() -> dict[str, Any]:
    """Remove both. Returns: what was there. Raises: OSError where something cannot be removed."""
    found = contents()
    for folder in (programs_folder(), ensembles_folder()):
        if folder.is_dir():
            shutil.rmtree(folder)
    return found | {"cleared": True}


def words(found: dict[str, Any]) -> str:
    """The same for a reader."""
    programs, kept = found["programs"], found["ensembles"]
    size = programs["bytes"] + sum(item["bytes"] for item in kept)
    lines = [
        f"{found['folder']}: {size / 2**20:.1f} MiB" + (", now cleared" if found.get("cleared") else ""),
        f"  {programs['files']} compiled programs",
        f"  {len(kept)} trained ensembles" + (", the last used first" if kept else ""),
    ]
    return "\n".join([*lines, *(f"    {_line(item)}" for item in kept)]) + "\n"


def _line(item: dict[str, Any]) -> str:
    if "damaged" in item:
        return f"{item['used']}  {item['file']}: damaged"
    width = f", MLP {item['hidden']}" if item["hidden"] else ""
    settings = f"L={item['layers']}{width}, {item['seeds']} seeds, {item['steps']} steps, N={item['shots']}"
    return f"{item['used']}  {item['task']['type']}: {settings}, seed {item['seed']}"
