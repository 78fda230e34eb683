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
