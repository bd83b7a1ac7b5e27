"""``fairway fetch``: the init container that brings a model, or verifies the one that is mounted.

It ends with the reason in the container's termination message, which the operator reads from the pod's status.
"""

import argparse
import errno
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote, urlsplit

from fairway.adapters.fetch_archive import SUFFIXES, unpack
from fairway.adapters.fetch_error import FetchError, permanent, temporary
from fairway.adapters.fetch_tree import Seen, digest_of

if TYPE_CHECKING:
    from fairway.adapters import fetch_http as http

DONE, TEMPORARY, PERMANENT = 0, 1, 3
"""Exit codes; 2 is a wrong command line."""
TERMINATION_LOG: Final = Path("/dev/termination-log")
EVERY: Final = 10.0
"""Seconds between two lines about progress."""
_STAGE: Final = ".fetch"
_NO_CURE: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)
_TERMINATED: Final = 128 + signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Job:
    """What to bring where, and what it must be."""

    to: Path
    uri: str | None = None
    digest: str | None = None
    credentials: Path | None = None
    ca: Path | None = None


@dataclass(slots=True)
class Progress:
    """Says now and then how far it is."""

    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    verb: str = "fetched"
    done: int = 0
    total: int | None = None
    _began: float = field(init=False)
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._next = self._began + EVERY

    def seen(self, size: int) -> None:
        """Count bytes."""
        self.done += size
        now = self.clock()
        if now >= self._next:
            self._next = now + EVERY
            of = f" of {_mib(self.total)}" if self.total else ""
            self.say(f"{self.verb} {_mib(self.done)}{of} in {now - self._began:.0f} s")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--uri", help="https URL of a file, or of a .tar, .tar.gz, .tgz or .zip to unpack")
    source.add_argument("--verify", action="store_true", help="fetch nothing; only compare the digest of what is there")
    parser.add_argument("--to", type=Path, required=True, help="directory to make, or what to verify")
    parser.add_argument("--digest", help="sha256:... of the file as it is fetched, or of the tree to verify")
    parser.add_argument("--credentials", type=Path, help="directory with token, or username and password; or ca.crt")
    parser.add_argument("--ca", type=Path, help="further certificate authorities (PEM)")
    parser.add_argument("--termination-log", type=Path, default=TERMINATION_LOG, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Do what the command line asks for; return the exit code and leave the reason where the kubelet finds it."""
    # As process 1 of a container nothing ends us by default: a pod that is deleted would wait for its whole grace.
    former = signal.signal(signal.SIGTERM, _stop)
    os.umask(0o022)
    job = Job(options.to, options.uri, options.digest, options.credentials, options.ca)
    try:
        verify(job, _say) if options.verify else fetch(job, _say)
    except FetchError as error:
        return _fail(error, options.termination_log)
    except OSError as error:
        return _fail(_of_the_system(error), options.termination_log)
    except Exception as error:  # noqa: BLE001  the pod's status is the only place where someone looks
        return _fail(temporary(f"unexpected {type(error).__name__}"), options.termination_log)
    finally:
        signal.signal(signal.SIGTERM, former)
    return DONE


def fetch(job: Job, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Bring a model to a directory that appears only when all of it is there. Raises FetchError, and OSError."""
    # Only here, since it costs most of the time that a verification takes to start.
    from fairway.adapters import fetch_http as http  # noqa: PLC0415

    if job.to.exists():
        say("already fetched: the directory outlived the container")
        return
    stage, name = job.to.parent / _STAGE, _name(job.uri or "")
    secret = http.authorization(job.credentials) if job.credentials else None
    pace = http.Pace(sleep=sleep, say=say)
    part, progress = http.Part(stage), Progress(say)
    progress.done = part.size
    _download(http.Download(job.uri or "", authorization=secret, ca=_authority(job), pace=pace), part, progress)
    if job.digest is not None and f"sha256:{part.digest}" != job.digest:
        shutil.rmtree(stage)
        raise _mismatch(f"sha256:{part.digest}", job.digest)
    say(f"fetched {_mib(part.size)}, sha256:{part.digest}")
    whole = stage / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    if name.lower().endswith(SUFFIXES):
        unpack(part.path, name.lower(), whole, Progress(say, verb="unpacked").seen)
    else:
        part.path.rename(whole / name)
    whole.rename(job.to)
    shutil.rmtree(stage)


def verify(job: Job, say: Callable[[str], None]) -> None:
    """Compare what is mounted with its digest. Raises FetchError, and OSError."""
    found = f"sha256:{digest_of(job.to, _seen(say))}"
    if found != job.digest:
        raise _mismatch(found, job.digest or "none")
    say(f"verified {found}")


def _seen(say: Callable[[str], None]) -> Seen:
    return Progress(say, verb="verified").seen


def _download(download: "http.Download", part: "http.Part", progress: Progress) -> None:
    def expect(total: int) -> None:
        progress.total, progress.done = total, part.size

    download.run(part, progress.seen, expect)


def _authority(job: Job) -> Path | None:
    mounted = job.credentials / "ca.crt" if job.credentials else None
    return job.ca or (mounted if mounted and mounted.exists() else None)


def _name(uri: str) -> str:
    """Return the name that a fetched file gets: the last part of the URL's path, as a plain file name."""
    last = unquote(urlsplit(uri).path).rstrip("/").rpartition("/")[2]
    plain = re.sub(r"[^\w.+=@ -]", "_", last)[:200]
    return plain if plain.strip(".") else "model"


def _mismatch(got: str, wanted: str) -> FetchError:
    return permanent(f"digest mismatch: got {got} wanted {wanted}")


def _of_the_system(error: OSError) -> FetchError:
    words = os.strerror(error.errno) if error.errno else type(error).__name__
    where = f": {Path(os.fsdecode(error.filename)).name!r}" if error.filename else ""
    return FetchError(f"{words}{where}", permanent=error.errno in _NO_CURE)


def _fail(error: FetchError, log: Path) -> int:
    message = f"{'permanent' if error.permanent else 'temporary'}: {error}"
    _say(message)
    try:
        log.write_text(message[:2048], encoding="utf-8", errors="backslashreplace")
    except OSError:
        _say(f"{log} cannot be written")
    return PERMANENT if error.permanent else TEMPORARY


def _stop(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(_TERMINATED)


def _say(line: str) -> None:
    print(line.encode("ascii", "backslashreplace").decode(), flush=True)  # noqa: T201


def _mib(size: int | None) -> str:
    return f"{(size or 0) / (1 << 20):.1f} MiB"
