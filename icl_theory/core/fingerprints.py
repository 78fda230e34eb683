"""A few digits that tell arrays and plain values apart."""

import hashlib
import json
from typing import Any

import numpy as np

DIGITS = 12


def canonical(content: Any) -> bytes:
    """Plain values as JSON with sorted keys."""
    return json.dumps(content, sort_keys=True).encode()


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def fingerprint(value: Any) -> str:
    """Twelve hexadecimal digits of an array's bytes or of plain values, for a message."""
    content = value.tobytes() if isinstance(value, np.ndarray) else canonical(value)
    return digest(content)[:DIGITS]
