"""Archives from strangers, unpacked: files and folders first, then links between those files, and nothing else.

The standard library's filters rely on resolving links while they are being made, which has failed more than once
(CVE-2025-4517 and its kin). Here nothing is written once a link exists, and no link can be followed out.
"""

import errno
import gzip
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from fairway.adapters.fetch_error import FetchError, permanent, temporary
from fairway.adapters.fetch_tree import CHUNK, Seen, is_inside

SUFFIXES: Final = (".tar", ".tar.gz", ".tgz", ".zip")
MAX_ENTRIES: Final = 100_000
_LONGEST_TARGET: Final = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of an archive."""

    path: str
    kind: Literal["file", "folder", "link", "other"]
    open: Callable[[], IO[bytes] | None]
    size: int = 0
    executable: bool = False
    target: str = ""
    """Of a link: a path relative to the folder that the link is in."""


def unpack(archive: Path, name: str, to: Path, seen: Seen) -> None:
    """Unpack into an existing, empty directory; ``name`` tells the format. Raises FetchError, and OSError."""
    try:
        with _entries(archive, name) as entries:
            _write(entries, to, seen)
    except FetchError:
        raise
    except OSError as error:
        # A damaged zip points to before its beginning; everything else is the disk's.
        if error.errno != errno.EINVAL and not isinstance(error, gzip.BadGzipFile):
            raise
        raise _broken(error) from None
    except Exception as error:  # noqa: BLE001  the libraries answer damage with whatever breaks first
        raise _broken(error) from None


def _broken(error: Exception) -> FetchError:
    return permanent(f"bad archive: {type(error).__name__}: {error}")


def _write(entries: Iterator[Entry], to: Path, seen: Seen) -> None:
    links: list[Entry] = []
    for number, entry in enumerate(entries):
        if number >= MAX_ENTRIES:
            raise permanent(f"bad archive: it has more than {MAX_ENTRIES} entries")
        target = to / _safe(entry.path)
        try:
            if entry.kind == "folder":
                target.mkdir(parents=True, exist_ok=True)
            elif entry.kind == "file":
                _file(entry, target, seen)
            elif entry.kind == "link":
                links.append(entry)
            else:
                raise permanent(f"bad archive: {entry.path!r} is neither a file, a folder nor a link")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise permanent(f"bad archive: {entry.path!r} is there twice") from None
    for entry in links:
        _link(entry, to)


def _safe(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    odd = any(character < " " or character in "\x7f\\" for character in path)
    if path.startswith("/") or ".." in parts or odd:
        raise permanent(f"bad archive: {path!r} is not a path inside it")
    return "/".join(parts)


def _file(entry: Entry, target: Path, seen: Seen) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if entry.size > free:
        raise temporary(f"no room: a file of {entry.size} bytes is to be unpacked, {free} are free")
    source = entry.open()
    if source is None:
        raise permanent(f"bad archive: {entry.path!r} has no content")
    # The server may run as any user: it can read everything and write nothing.
    mode = 0o755 if entry.executable else 0o644
    with source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
            seen(len(chunk))
        os.fchmod(file.fileno(), mode)


def _link(entry: Entry, to: Path) -> None:
    """Make a relative link to a file; links to folders, which may go round in circles, and to links are refused."""
    path = _safe(entry.path)
    folder = posixpath.dirname(path)
    target = posixpath.normpath(posixpath.join(folder, entry.target))
    aim = to / target
    plain = is_inside(folder, entry.target) and Path(os.path.realpath(aim)) == Path(os.path.realpath(to)) / target
    if not plain or not aim.is_file():
        raise permanent(f"bad archive: the link {entry.path!r} does not lead to a file inside it")
    # All links lead to files, so no folder on the way to this one can be a link.
    try:
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        (to / path).symlink_to(posixpath.relpath(target, folder or "."))
    except (FileExistsError, NotADirectoryError):
        raise permanent(f"bad archive: {entry.path!r} is there twice") from None


@contextmanager
def _entries(archive: Path, name: str) -> Iterator[Iterator[Entry]]:
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            yield (_of_zip(opened, info) for info in opened.infolist())
    else:
        # The name decides, not the content: an archive is what its owner says that it is.
        with tarfile.open(archive, "r:" if name.endswith(".tar") else "r:gz") as tar:
            yield (_of_tar(tar, member) for member in tar)


def _of_tar(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    kind: Literal["file", "folder", "link", "other"] = "other"
    target = ""
    if member.isreg():
        kind = "file"
    elif member.isdir():
        kind = "folder"
    elif member.issym():
        kind, target = "link", member.linkname
    elif member.islnk():
        # A hard link names its target from the archive's root.
        up = posixpath.relpath(".", posixpath.dirname(_safe(member.name)) or ".")
        kind, target = "link", f"{up}/{_safe(member.linkname)}"
    executable = bool(member.mode & stat.S_IXUSR)
    return Entry(member.name, kind, lambda: tar.extractfile(member), member.size, executable, target)


def _of_zip(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    mode = info.external_attr >> 16
    if info.is_dir():
        return Entry(info.filename, "folder", lambda: None)
    if stat.S_ISLNK(mode):
        with opened.open(info) as file:
            return Entry(info.filename, "link", lambda: None, target=file.read(_LONGEST_TARGET).decode())
    kind: Literal["file", "other"] = "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"
    return Entry(info.filename, kind, lambda: opened.open(info), info.file_size, bool(mode & stat.S_IXUSR))
