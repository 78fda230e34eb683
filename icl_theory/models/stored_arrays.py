"""Arrays of a file on disk, npz or safetensors, by name. Files that can hold code are never opened."""

from pathlib import Path
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.records.files import DAMAGED, read_npz

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib")
_EXPECTED = "an npz or safetensors file, or the directory of a training run"


def weights_file(path: str | Path) -> Path:
    """The file of a path, which may be the directory of a training run. Raises: ValueError."""
    path = Path(path).expanduser()
    if path.is_dir():
        if not (path / "weights.npz").is_file():
            got = f"the directory {str(path)!r} without a weights.npz"
            raise checks.error("model", got, _EXPECTED, "let the training end, or name the file")
        return path / "weights.npz"
    if not path.is_file():
        raise checks.error("model", f"{str(path)!r}: no such file", _EXPECTED, "check the path")
    if path.suffix.lower() in PICKLES:
        hint = "loading it could run code: save its arrays with numpy.savez or safetensors instead"
        raise checks.error("model", f"{str(path)!r}, a pickle", _EXPECTED, hint)
    return path


def stored_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of the file, in the type it was written in. Raises: ValueError for a file that is damaged."""
    try:
        if path.suffix.lower() == ".safetensors":
            return _safetensors(path)
        return read_npz(path)
    except DAMAGED as error:
        if "Object arrays" in str(error):
            hint = "loading it could run code: save plain arrays of numbers"
            raise checks.error("model", f"{str(path)!r}, which holds pickled objects", _EXPECTED, hint) from None
        got = f"{str(path)!r}, which is damaged or of another kind ({type(error).__name__})"
        raise checks.error("model", got, _EXPECTED, "write it again") from error


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    def read(framework: str, names: list[str] | None = None) -> dict[str, Any]:
        with safe_open(path, framework=framework) as file:
            return {name: np.asarray(file.get_tensor(name)) for name in (names or file.keys())}

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            kinds = {name: file.get_slice(name).get_dtype() for name in names}
        short = [name for name in names if kinds[name] == "BF16"]  # which numpy alone has no type for
        plain = [name for name in names if name not in short]
        return (read("numpy", plain) if plain else {}) | (read("flax", short) if short else {})
    except SafetensorError as error:
        raise ValueError(str(error)) from error
