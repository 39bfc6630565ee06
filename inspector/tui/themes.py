"""Themes beside those of Textual."""

from __future__ import annotations

from textual.theme import Theme

HIGH_CONTRAST = Theme(
    "high-contrast",
    primary="#ffffff",
    secondary="#ffff00",
    warning="#ffff00",
    error="#ff8080",
    success="#80ff80",
    accent="#00ffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    variables={
        "text-muted": "#e0e0e0",
        "block-cursor-background": "#ffffff",
        "block-cursor-foreground": "#000000",
        "block-cursor-blurred-background": "#404040",
    },
)
