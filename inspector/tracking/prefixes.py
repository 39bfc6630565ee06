"""What is there more than once among the prefixes of packed connections."""

from __future__ import annotations

import numpy as np


def repeated(values: np.ndarray) -> np.ndarray:
    """The values that are there more than once, in order."""
    in_order = np.sort(values)
    again = in_order[1:][in_order[1:] == in_order[:-1]]
    return np.concatenate((again[:1], again[1:][again[1:] != again[:-1]]))  # np.unique loads masked arrays: 7 ms
