r"""The digest of a model: of a file its SHA-256, of a tree the SHA-256 of its files' digests and paths.

The same with common tools, in the tree's root:
``find -L . -type f -printf '%P\0' | xargs -0 sha256sum | LC_ALL=C sort | sha256sum``
"""

import hashlib
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from fairway.adapters.fetch_error import permanent

CHUNK: Final = 1 << 20
_LOST_AND_FOUND: Final = "lost+found"
_UNWRITABLE: Final = "\n\r\\"
"""In a path these would make one tree's lines read as another's; ``sha256sum`` escapes them."""

Seen = Callable[[int], None]
"""Is told how many bytes were read."""


def tree_digest(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the sorted lines of (path, hexadecimal SHA-256 of the content)."""
    lines = sorted(f"{digest}  {path}\n".encode(errors="surrogateescape") for path, digest in files)
    return hashlib.sha256(b"".join(lines)).hexdigest()


def digest_of(path: Path, seen: Seen) -> str:
    """Return the digest of what is at ``path``. Raises FetchError for what a digest cannot vouch for, and OSError."""
    if path.is_file():
        return file_digest(path, seen)
    if not path.is_dir():
        raise permanent("there is neither a file nor a directory to verify")
    root = Path(os.path.realpath(path))
    return tree_digest((name, file_digest(root / name, seen)) for name in _files(root))


def file_digest(path: Path, seen: Seen) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            seen(len(chunk))
    return hasher.hexdigest()


def _files(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root, onerror=_raise):
        here = Path(folder)
        if here == root and _LOST_AND_FOUND in folders:
            folders.remove(_LOST_AND_FOUND)  # the file system's own, and root's alone
        for name in [*names, *(name for name in folders if (here / name).is_symlink())]:
            path = here / name
            inside = path.relative_to(root).as_posix()
            if any(character in inside for character in _UNWRITABLE):
                raise permanent(f"a file name with a line break or a backslash cannot be verified: {inside!r}")
            if not path.is_file() or not _stays(root, path):
                raise permanent(f"{inside!r} is neither a file nor a link to a file of the same tree")
            yield inside


def _stays(root: Path, path: Path) -> bool:
    """Whether a path leads into the tree wherever the tree is mounted: the server may see it in another place."""
    if not Path(os.path.realpath(path)).is_relative_to(root):
        return False
    return not path.is_symlink() or is_inside(path.relative_to(root).parent.as_posix(), path.readlink().as_posix())


def is_inside(folder: str, target: str) -> bool:
    """Whether a link in ``folder`` of a tree has a target in that tree, read as text alone."""
    whole = posixpath.normpath(posixpath.join(folder or ".", target))
    return not whole.startswith("/") and whole.split("/")[0] != ".."


def _raise(error: OSError) -> None:
    raise error
