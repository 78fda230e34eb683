"""Which tests exercise a source file: those of its name, those listed here, and those that import it."""

import ast
from pathlib import Path

LISTED = {
    "core/checks": ("linear_regression", "attention", "closed_forms"),
    "core/numerics": ("linear_regression", "train"),
    "tasks/prompt": ("linear_regression", "vector_regression"),
    "tasks/base": ("linear_regression", "vector_regression", "relu_teacher", "overrides"),
    "tasks/closed_forms": ("withdrawn_forms", "overrides"),
    "tasks/laws": ("laws", "laws_of_closed_forms"),
    "tasks/law_facts": ("laws", "laws_of_closed_forms", "token_law"),
    "tasks/linear_regression": ("laws", "laws_of_closed_forms", "overrides"),
    "tasks/relu_teacher": ("laws_of_closed_forms", "token_law"),
    "tasks/sparse_regression": ("withdrawn_forms",),
    "tasks/vector_regression": ("laws",),
    "tasks/written": ("written", "counterexample", "cases"),
    "models/attention": ("under_jax",),
    "descent/trajectory": ("under_jax",),
    "models/model": ("attention", "heads", "rank_notes"),
    "models/files": ("model_kinds", "rank_notes", "cases", "counterexample"),
    "models/rank_notes": ("rank_notes", "module_truncation"),
    "models/checked": ("model", "model_kinds"),
    "models/options": ("training_family", "config"),
    "training/config": ("config",),
    "training/optimum": ("train", "training_family", "laws_of_closed_forms"),
    "training/prompt_sources": ("train", "training_family", "laws_of_closed_forms"),
    "training/ensemble": ("train", "training_family"),
    "training/optimizer": ("train",),
    "training/state": ("checkpoints", "checkpoint_store", "state"),
    "risk/one_layer": ("closed_forms", "population", "laws_of_closed_forms"),
    "risk/population": ("laws_of_closed_forms", "overrides"),
    "risk/baselines": ("laws_of_closed_forms",),
    "risk/baseline_predictions": ("baselines", "pool_predictions"),
    "descent/gradient_descent": ("paths", "agreement"),
    "descent/agreement": ("laws_of_closed_forms",),
    "training/train": ("laws_of_closed_forms", "training_family"),
    "risk/sparse_posterior": ("baselines", "standard_errors_risk", "independence"),
    "noise/normality_tests": ("normality", "normality_moments"),
    "noise/multi_head_support": ("heads", "noise_precision"),
    "truncation/risk_curves": ("constructions",),
    "truncation/sweep_runner": ("rank_sweep", "caches", "standard_errors_pairs"),
    "noise/gradient_rows": ("noise_precision", "curve_agreement", "covariance"),
    "noise/support_points": ("support", "covariance", "heads", "layer_spaces", "curve_agreement"),
    "noise/truncation_noise": ("curve_agreement",),
    "information/ladder/noisy_trajectory": ("floor", "sandwich", "rungs", "layer_spaces"),
    "information/estimators/channel": ("sandwich", "path_prior"),
    "information/ladder/path_sandwich": ("individual_sample", "sandwich"),
    "information/estimators/ksg": ("sandwich", "calibration"),
    "information/ladder/bound_ladder": ("sandwich", "rungs", "kl_rungs"),
    "information/ladder/large_sample_limit": ("path_prior", "individual_sample"),
    "information/forward_pass/bounds": ("forward_pass_bounds",),
    "information/ladder/losses": ("standard_errors_ladder", "sandwich", "setting", "relu_path"),
    "information/ladder/token_law": ("layer_spaces", "sandwich"),
    "information/ladder/setting": ("sandwich", "relu_path"),
    "information/ladder/path_prior": ("path_prior", "high_probability"),
    "information/ladder/readout": ("readout", "high_probability"),
    "information/covariance_roots": ("token_law", "overrides"),
    "noise/restricted_support": ("token_law",),
    "information/ladder/shared_subsets": ("shared_subsets", "relu_path"),
    "information/estimators/sandwich": ("sandwich",),
    "information/estimators/known_channels": ("calibration",),
    "claims/engine/check": ("claim", "array_comparison", "grid_evidence"),
    "claims/engine/grid_evidence": ("grid_evidence",),
    "claims/registry": ("plugins", "registry"),
    "claims/engine/claim": ("grid_evidence", "array_comparison", "registry"),
    "claims/engine/examine": ("grid_evidence", "case_settings", "verify", "registry"),
    "claims/engine/cases": ("counterexample", "members", "case_settings", "caches", "registry"),
    "claims/engine/case_factory": ("case_settings", "outside", "cases", "members", "caches", "registry"),
    "claims/engine/populations": ("case_settings", "outside", "cases", "members", "caches", "registry"),
    "claims/engine/given_cases": ("case_settings", "members"),
    "claims/engine/counterexample": ("counterexample", "seed_interval"),
    "claims/engine/exceptions": ("expected_verdicts", "verify"),
    "claims/engine/expected_verdicts": ("verify", "expected_verdicts"),
    "claims/engine/profiles": ("verify", "registry"),
    "runs/verify": ("verify", "cases", "registry"),
    "cli/main": ("fresh_processes", "exit_status", "options", "main", "train_command"),
    "cli/options": ("refusals", "options", "main", "config_file"),
    "cli/parsing": ("refusals", "options", "main", "config_file"),
    "cli/refusals": ("bad_input", "refusals"),
    "cli/commands": ("options", "outside", "main", "exit_status"),
    "models/foreign": ("layouts",),
    "models/convention_check": ("layouts",),
    "models/stored_arrays": ("layouts",),
    "core/cache_folders": ("kept_files", "main"),
    "runs/cache": ("kept_files",),
    "runs/second_process": ("examination",),
    "runs/bounds": ("bounds_of_files", "training_and_bounds_documents", "resumed_settings", "options", "main"),
    "records/sweep_records": ("sweep_over",),
    "core/fingerprints": ("checkpoints", "sweep_over"),
    "models/fingerprint": ("sweep_over", "bounds_of_files"),
    "truncation/rank_sweep": ("rank_sweep", "sweep_over"),
    "truncation/sweep": ("sweep_over",),
    "runs/given_model": ("verify_config", "bounds_of_files"),
    "runs/bounds_config": ("training_and_bounds_documents", "main"),
    "runs/model_config": ("rank_sweep", "training_and_bounds_documents", "main", "search"),
    "runs/made_models": ("resumed_settings", "bounds_of_files", "members", "training_and_bounds_documents", "main"),
    "runs/search": ("search",),
    "grids/measures": ("measures",),
    "grids/table": ("measures",),
    "grids/judgement": ("judgement",),
    "grids/deciding_factors": ("judgement",),
    "grids/edits": ("edits",),
    "grids/records": ("grid_records",),
    "grids/registration": ("registration",),
    "grids/finding": ("registration",),
    "grids/unit_table": ("unit_table",),
    "grids/populations": ("unit_table",),
    "grids/prediction/measures": ("prediction",),
    "grids/prediction/unit_record": ("prediction",),
    "grids/prediction/models": ("prediction",),
    "grids/prediction/table": ("prediction",),
    "runs/grid": ("grid",),
    "runs/grid_config": ("grid",),
    "cli/experiment_commands": ("grid",),
    "grids/finding_records": ("grid_records",),
    "runs/figures": ("figures",),
    "runs/figure_records/of_grid": ("paper_figures",),
    "runs/figure_records/of_models": ("figure_records",),
    "runs/figure_records/of_prediction": ("figure_records",),
    "runs/figure_records/of_theory": ("figure_records",),
    "claims/engine/verdict": ("grid_evidence", "claim"),
    "lessons/exercises": ("lessons",),
    "lessons/files": ("lessons",),
    "lessons/interactive": ("page_behaviour", "interactive"),
    "lessons/display": ("lessons",),
    "descent/paths": ("paths",),
    "figures/descent": ("descent_figures",),
    "runs/search_config": ("search",),
    "records/search_records": ("search",),
    "report/terminal/search_table": ("search",),
    "figures/search": ("search",),
    "models/programs": ("attention", "clipping_search"),
    "records/compare": ("claim_records", "documents", "main"),
    "report/terminal/console": ("main",),
    "records/documents": ("documents", "exit_status"),
    "runs/directory": ("resumed_settings", "train_command"),
    "records/sweep_means": ("bound_versus_rank", "sweep", "rank_sweep"),
    "records/journal": ("rank_sweep", "resumed_settings", "train_command", "main"),
    "report/page/assets": ("document", "math_font"),
    "report/page/counterexample": ("document",),
    "report/page/ledger": ("document",),
    "report/page/sweep": ("document",),
    "records/sweep_csv": ("rank_sweep",),
    "records/tables": ("claims_csv", "rank_sweep"),
    "report/terminal/tables": ("documents", "verify", "seed_interval"),
    "report/terminal/sweep_tables": ("documents",),
    "runs/train_config": ("training_and_bounds_documents", "train_command"),
    "runs/train": ("training_and_bounds_documents", "standard_errors_runs", "train_command"),
    "report/terminal/verify": ("verify", "main"),
}
"""Names of test files, without test_ and .py, by source file below the package, where they do not bear its name."""
ACROSS = ("standard_errors", "independence", "members", "dimensions", "small_cases", "caches", "command_options")
"""How tests are called that check one kind of defect in many modules: they are among the first for each of these."""
COMMON = ("core", "models.model", "models.attention", "tasks", "training.prompt_sources")
"""What everything imports does not make a claim one about a module; nor does the claims' engine."""
LEFT_OUT = ("test_mutation.py", "test_defects.py")  # the list is compared with the source: any defect would be caught


def stages(root: Path, file: str) -> dict[str, list[str]]:
    """Test files of the tree `root` in the order in which they are tried: of that name or listed, then importing."""
    tests = {path.name: path for path in sorted((root / "tests").rglob("test_*.py")) if path.name not in LEFT_OUT}
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
    return {
        stage: [tests[name].relative_to(root / "tests").as_posix() for name in names]
        for stage, names in {"named": named, "importing": importing}.items()
    }


def deep(root: Path, done: list[str]) -> list[str]:
    """All other test files."""
    paths = [path for path in (root / "tests").rglob("test_*.py") if path.name not in LEFT_OUT]
    names = sorted(path.relative_to(root / "tests").as_posix() for path in paths)
    return [name for name in names if name not in done]


def claims(root: Path, file: str) -> list[str]:
    """Labels of the claims that import the module, themselves, through claims they borrow from, or by a ladder."""
    module = "icl_theory." + file.removeprefix("icl_theory/").removesuffix(".py").replace("/", ".")
    homes, folder = _homes(root), root / "icl_theory" / "claims"
    if file.startswith("icl_theory/claims/") and "CLAIM = " in (root / file).read_text(encoding="utf-8"):
        return [Path(file).stem]
    files = {
        f"icl_theory.claims.{path.parent.name}.{path.stem}": path
        for path in sorted(folder.glob("*/[a-z]*.py"), key=lambda path: path.stem)
    }
    borrowed = {name: path for name, path in files.items() if path.parent.name != "engine"}
    behind = _closure(root, "icl_theory.information.ladder.bound_ladder", homes)

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
        if module in found or not path.is_file() or module.removeprefix("icl_theory.").startswith(COMMON):
            continue
        found.add(module)
        left += _modules(path, homes)
    return found


def _homes(root: Path) -> dict[str, str]:
    """Public name → module, from the table of contents of the package."""
    path = root / "icl_theory" / "__init__.pyi"
    tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    listed = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: f"icl_theory.{node.module}" for node in listed for alias in node.names}


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
