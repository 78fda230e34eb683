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


def keep_programs(folder: str | Path | None = None) -> Path:
    """Let jax keep what it compiles in a folder, so that the next process does not compile it again.

    The commands do so unasked; in Python it changes jax's settings for the whole process, and is yours to ask for.
    Every program is kept, however small: the first `train` of another process then reads what this one has compiled.

    Args:
        folder: where; the user's cache directory if None (`icl-theory cache` shows and clears it).

    Returns: the folder.
    Raises: ValueError for a folder that cannot be made or written.

    Example:
        >>> from icl_theory import keep_programs
        >>> folder = keep_programs()  # doctest: +SKIP
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    from icl_theory.core import checks

    path = programs_folder() if folder is None else Path(folder).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        got, expected = f"{str(path)!r} ({error.strerror})", "a directory that can be made"
        raise checks.error("folder", got, expected, "name another one") from error
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    compilation_cache.reset_cache()  # else the folder that was in use before would be filled further
    return path
