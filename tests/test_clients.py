"""Which stack writes a ClientHello, from its shape."""

from __future__ import annotations

import pytest

from inspector.tls.extensions import HelloShape
from inspector.tracking.clients import writer

MODERN = (0x1302, 0x1301, 0x1303)
BOTH = (*MODERN, 0xC02C, 0xC02B, 0x00FF)


@pytest.mark.parametrize(
    ("extensions", "suites", "stack"),
    [
        ((0, 5, 10, 13, 43, 45, 50, 51), MODERN, "jsse"),
        ((0, 5, 10, 13, 43, 45, 50, 51, 41), MODERN, "jsse"),
        ((0, 5, 10, 13, 50, 16, 43, 45, 51), MODERN, "jsse"),
        ((0, 5, 10, 11, 17, 23, 13, 43, 45, 50, 51), BOTH, "jsse"),
        ((0, 5, 10, 13, 43, 45, 51), MODERN, "unknown"),
        ((0, 5, 10, 13, 50, 43, 51, 45), MODERN, "unknown"),
        ((0, 5, 10, 13, 43, 45, 50, 51), (*MODERN, 0xC02C), "unknown"),
        ((0, 11, 10, 35, 22, 23, 13, 43, 45, 51), MODERN, "openssl"),
    ],
)
def test_the_stack_is_told_by_order(extensions: tuple[int, ...], suites: tuple[int, ...], stack: str) -> None:
    assert writer(HelloShape(0x0303, suites, extensions, point_formats=(0,))).stack.name == stack
