"""What a reader needs to compare the numbers of two runs: versions, device, platform."""

import os
import platform
from typing import Any

from icl_theory.core.version import VERSION


def environment() -> dict[str, Any]:
    """Versions, the device as jax reports it, processors and platform: what a reader needs to compare numbers.

    No host name, user or path.
    """
    import jax
    import numpy as np

    device = jax.devices()[0]
    return {
        "icl_theory": VERSION,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "processors": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
