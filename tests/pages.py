"""The pages that people read, and the commands in them."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "charts/fairway/README.md",
    ROOT / "manifests/README.md",
    ROOT / "examples/churn/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
SHELL = {"", "sh"}
"""Languages of blocks that may hold commands; a console's are the lines with a prompt."""
END = re.compile(r"(?:\s+(?:\||>|&&)\s|\s+#\s|;).*")
"""Where a simple command ends."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Each block of a page: its language and its text, also where it is a part of a list."""
    for indent, language, text in re.findall(
        r"^( *)```(\w*)\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        yield language, re.sub(f"^{indent}", "", text, flags=re.MULTILINE)


def commands(page: Path) -> Iterator[str]:
    """Each line that is meant for a shell; continued lines belong together."""
    for language, block in blocks(page):
        lines = _chosen(block.replace("\\\n", " ")).splitlines()
        if language in SHELL:
            yield from lines
        elif language == "console":
            yield from (line.removeprefix("$ ") for line in lines if line.startswith("$ "))


def _chosen(block: str) -> str:
    """What a reader has to put in, put in."""
    return block.replace("<your registry>", "registry.example").replace("<your copy>", "example")


def inline(page: Path) -> Iterator[str]:
    """Each piece of code within the text."""
    text = re.sub(r"^( *)```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", text)


def as_a_shell_hands_them_on(command: str) -> list[str]:
    """The words after the shell has taken quotes, backslashes, braces and substitutions for its own."""
    if "$(" not in command and "{" not in command:
        return shlex.split(END.sub("", command))
    assert not re.search(r"[|>;&]", re.sub(r"'[^']*'|\"[^\"]*\"", "", command)), "it would do more than say its words"
    return subprocess.check_output(["bash", "-c", f"printf '%s\\n' {command}"], text=True).splitlines()
