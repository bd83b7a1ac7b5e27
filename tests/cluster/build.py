"""`build-image`: build what changed, load it, and give it all the names that were asked for."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from . import base_image, buildah, images, settings
from .progress import say, step
from .shell import ClusterError, write_file


@dataclass(frozen=True)
class Request:
    """What the user asked to build."""

    name: str
    dockerfile: Path
    context: Path
    arguments: dict[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return all names the result is to have, in full."""
        return [images.normalise(name) for name in (self.name, *self.also)]


def _ignore_patterns(context: Path, dockerfile: Path) -> list[str]:
    for candidate in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if candidate.is_file():
            lines = (line.strip() for line in candidate.read_text().splitlines())
            return [line.rstrip("/").removeprefix("./").removeprefix("/") for line in lines if line and line[0] != "#"]
    return []


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a .dockerignore pattern; unlike fnmatch's, its `*` stays within one folder."""
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.split(r"(\*\*/|\*\*|\*|\?)", text)
    return re.compile("".join(pieces.get(token) or re.escape(token) for token in tokens))


def ignored(path: str, patterns: list[str]) -> bool:
    """Apply .dockerignore's rules: the last pattern that matches the path or a folder above it decides."""
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    result = False
    for pattern in patterns:
        wanted = _pattern(pattern.removeprefix("!").removeprefix("/"))
        if any(wanted.fullmatch(name) for name in above):
            result = not pattern.startswith("!")
    return result


def context_files(context: Path, dockerfile: Path) -> list[Path]:
    """List what a build can see of its context, in a stable order."""
    patterns = _ignore_patterns(context, dockerfile)
    negations = any(pattern.startswith("!") for pattern in patterns)
    found: list[Path] = []
    for folder, folders, files in os.walk(context):
        here = Path(folder)
        if not negations:
            folders[:] = [name for name in folders if not ignored(str((here / name).relative_to(context)), patterns)]
        found += [here / name for name in files if not ignored(str((here / name).relative_to(context)), patterns)]
        found += [here / name for name in folders if (here / name).is_symlink()]
    return sorted(found)


def content_key(request: Request, base: str) -> str:
    """Hash everything the result depends on; times do not count."""
    digest = hashlib.sha256(json.dumps([base, sorted(request.arguments.items())]).encode())
    digest.update(request.dockerfile.read_bytes())
    for path in context_files(request.context, request.dockerfile):
        content = bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
        mode = path.lstat().st_mode & 0o111
        digest.update(f"{path.relative_to(request.context)}\0{mode}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _records() -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(settings.IMAGE_RECORDS.read_text())
    except (OSError, ValueError):
        return {}
    return found


def _loaded(field: str, value: str) -> str | None:
    """Return a name under which containerd has exactly the image of which this is recorded."""
    present = images.present()
    for name, record in _records().items():
        if record.get(field) == value and present.get(name) == record["digest"]:
            return name
    return None


def build_image(request: Request) -> None:
    """Build, load and name an image; do only the part that is not done yet."""
    for path in (request.dockerfile, request.context):
        if not path.exists():
            raise ClusterError(f"{path} does not exist")
    base = base_image.ensure()
    key = content_key(request, base)
    names = request.names()
    before = images.present()
    source = _loaded("key", key)
    identity = _records()[source]["id"] if source else _build(request, base, key)
    source = source or _loaded("id", identity) or _load(identity, names[0])
    digest = images.present()[source]
    for name in names:
        if name != source and before.get(name) != digest:
            images.tag(source, name)
    records = _records() | {name: {"key": key, "id": identity, "digest": digest} for name in names}
    write_file(settings.IMAGE_RECORDS, json.dumps(records, indent=1))
    for name in names:
        say(f"{name}: {'unchanged' if before.get(name) == digest else 'loaded'}")


def _build(request: Request, base: str, key: str) -> str:
    log = settings.LOGS / f"build-image-{request.name.replace('/', '_').replace(':', '_')}.log"
    arguments = {"BASE": base, **request.arguments}
    with step(f"build {request.name}"):
        return buildah.build(request.dockerfile, request.context, arguments, f"localhost/fairway-build:{key[:20]}", log)


def _load(identity: str, name: str) -> str:
    with step(f"load {name}"):
        images.load_from_buildah(identity, name)
    return name
