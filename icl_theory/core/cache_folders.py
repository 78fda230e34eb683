"""Where the user's computer keeps what can be made again: compiled programs and trained ensembles."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache directory for this package; XDG_CACHE_HOME moves it, if it is an absolute path as it must be."""
    import platformdirs

    path = platformdirs.user_cache_path("icl_theory")
    elsewhere = os.environ.get("XDG_CACHE_HOME", "")
    return Path.home() / ".cache" / "icl_theory" if elsewhere and not path.is_absolute() else path


def programs_folder() -> Path:
    """Programs that jax has compiled for a command."""
    return cache_folder() / "programs"


def ensembles_folder() -> Path:
    """Trained ensembles, see `training.ensemble_cache`."""
    return cache_folder() / "ensembles"


def keep_programs(folder: str) -> None:
    """Let jax keep what it compiles in that folder, in this process: every program, however small."""
    import jax

    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
