"""Texts that were looked at and kept. GOLDEN=write writes them anew: look at the difference before it is kept."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent


def check(name: str, text: str) -> None:
    """Compare with what was kept under this name."""
    path = HERE / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path.name} differs; if it is meant: GOLDEN=write, and look"
