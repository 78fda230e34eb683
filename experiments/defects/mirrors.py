"""Which tests look at a source file: those of its name, those listed here, and those that import it."""

import ast
from pathlib import Path

LISTED = {
    "_checks": ("tasks", "attention", "closed_forms"),
    "_numerics": ("tasks",),
    "task_base": ("tasks", "vector_tasks", "teachers"),
    "weights": ("attention", "heads"),
    "data": ("training", "training_family"),
    "ensemble": ("training", "training_family"),
    "optimizer": ("training",),
    "run_state": ("checkpoint", "checkpoint_store"),
    "exact_risk": ("closed_forms", "risk"),
    "descent": ("agreement",),
    "sparse_posterior": ("baselines", "standard_errors_risk", "independence"),
    "summed_support": ("heads", "noise_precision"),
    "information/simulation": ("floor", "information"),
    "information/channel": ("information", "path"),
    "information/ends": ("individual", "information"),
    "information/ksg": ("information", "calibration"),
    "information/ladder": ("information", "rungs"),
    "information/large_sample": ("path", "individual"),
    "information/losses": ("standard_errors_ladder", "information"),
    "information/sandwich": ("information",),
    "information/known_channels": ("calibration",),
    "claims/__init__": ("outside", "claims"),
    "claims/base": ("array_comparison", "claims"),
    "claims/outcome": ("verify_status", "claims"),
    "claims/cases": ("recheck", "members", "caches", "claims"),
    "claims/certificate": ("recheck", "population"),
    "claims/exceptions": ("expected_verdicts", "verify_status"),
    "claims/expected": ("verify_status", "expected_verdicts"),
    "claims/profiles": ("verify_status", "claims"),
    "claims/run": ("verify_status", "cases", "claims"),
    "cli": ("exit_status", "command_options", "cli", "train_command"),
    "commands": ("command_options", "cli"),
    "report/bounds": ("run_documents", "resumed_settings", "command_options", "cli"),
    "report/bounds_config": ("run_documents", "cli"),
    "report/compare": ("recording", "report", "cli"),
    "report/console": ("cli",),
    "report/records": ("report", "exit_status"),
    "report/run_directory": ("resumed_settings", "train_command"),
    "report/series": ("figures", "sweep_figures"),
    "report/sweep_journal": ("sweep", "resumed_settings", "cli"),
    "report/sweep_section": ("page",),
    "report/sweep_table": ("sweep",),
    "report/terminal": ("report", "verify_status", "population"),
    "report/train_config": ("run_documents", "train_command"),
    "report/train_run": ("run_documents", "standard_errors_runs", "train_command"),
    "report/verify_output": ("verify_status", "cli"),
}
"""Names of test files, without test_ and .py, by source file below the package, where they do not bear its name."""
ACROSS = ("standard_errors", "independence", "members", "dimensions", "small_cases", "caches", "command_options")
"""How tests are called that look at one kind of defect in many modules: they are among the first for each of these."""
ENGINE = ("base", "cases", "outcome", "population", "ensembles", "profiles", "run", "recording", "certificate")
COMMON = ("_checks", "_numerics", "weights", "tasks", "task_base", "data", "attention")
"""Files of the claims' engine, and modules that everything imports: neither makes a claim one about a module."""
LEFT_OUT = ("test_mutation.py", "test_defects.py")  # the list is compared with the source: any defect would be caught


def stages(root: Path, file: str) -> dict[str, list[str]]:
    """Test files of the tree `root` in the order in which they are tried: of that name or listed, then importing."""
    tests = {path.name: path for path in sorted((root / "tests").glob("test_*.py")) if path.name not in LEFT_OUT}
    place = file.removeprefix("icl_theory/").removesuffix(".py")
    stem = place.split("/")[-1].strip("_")
    own = [f"test_{name}.py" for name in (stem, *LISTED.get(place, ()))]
    own += [name for name in tests if name.startswith(f"test_{stem}_")]
    module = "icl_theory." + place.removesuffix("/__init__").replace("/", ".")
    homes = _homes(root)
    imported = {name: _modules(path, homes) for name, path in tests.items()}
    # Those that import little else come first: they say most about this module in the shortest time.
    importing = sorted((name for name, found in imported.items() if module in found), key=lambda n: len(imported[n]))
    own += [name for name in importing if name.removeprefix("test_").startswith(ACROSS)]
    named = [name for name in dict.fromkeys(own) if name in tests]
    importing = [name for name in importing if name not in named]
    return {"named": named, "importing": importing}


def deep(root: Path, done: list[str]) -> list[str]:
    """All other test files."""
    names = sorted(path.name for path in (root / "tests").glob("test_*.py"))
    return [name for name in names if name not in (*done, *LEFT_OUT)]


def claims(root: Path, file: str) -> list[str]:
    """Labels of the claims that import the module, themselves, through claims they borrow from, or by a ladder."""
    module = "icl_theory." + file.removeprefix("icl_theory/").removesuffix(".py").replace("/", ".")
    homes, folder = _homes(root), root / "icl_theory" / "claims"
    if file.startswith("icl_theory/claims/") and "CLAIM = " in (root / file).read_text(encoding="utf-8"):
        return [Path(file).stem]
    files = {f"icl_theory.claims.{path.stem}": path for path in sorted(folder.glob("[a-z]*.py"))}
    borrowed = {name: path for name, path in files.items() if path.stem not in ENGINE}
    behind = _closure(root, "icl_theory.information.ladder", homes)

    def seen(path: Path) -> set[str]:
        """What a claim depends on: `Case.ladder` stands for everything that the ladder is computed by."""
        direct = _modules(path, homes)
        lent = set().union(*(_modules(borrowed[name], homes) for name in direct & set(borrowed)))
        texts = [path, *(borrowed[name] for name in direct & set(borrowed))]
        ladder = any(".ladder(" in text.read_text(encoding="utf-8") for text in texts)
        return direct | lent | (behind if ladder else set())

    return [path.stem for path in files.values() if "CLAIM = " in path.read_text("utf-8") and module in seen(path)]


def _closure(root: Path, start: str, homes: dict[str, str]) -> set[str]:
    """The module and all modules of the package that it imports, directly or not, without the tasks and the weights."""
    found, left = set(), [start]
    while left:
        module = left.pop()
        path = root / (module.replace(".", "/") + ".py")
        if module in found or not path.is_file() or module.removeprefix("icl_theory.") in COMMON:
            continue
        found.add(module)
        left += _modules(path, homes)
    return found


def _homes(root: Path) -> dict[str, str]:
    """Public name → module, from the table of contents of the package."""
    tree = ast.parse((root / "icl_theory" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOME":
            return {name: f"icl_theory.{home}" for name, home in ast.literal_eval(node.value).items()}
    return {}


def _modules(path: Path, homes: dict[str, str]) -> set[str]:
    """Modules of the package that a file imports, public names taken for the modules they live in."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            if node.module == "icl_theory":
                found |= {homes[alias.name] for alias in node.names if alias.name in homes}
    return {name for name in found if name.startswith("icl_theory.")}
