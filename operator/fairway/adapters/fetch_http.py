"""One file over HTTPS: with retries that go on where the last try ended, and credentials for one host only."""

import hashlib
import random
import re
import shutil
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from fairway.adapters.fetch_error import FetchError, permanent, temporary
from fairway.adapters.fetch_tree import CHUNK, Seen

AUTHORITY: Final = "ca.crt"
"""Key of the Secret with further certificate authorities."""
MAX_REDIRECTS: Final = 3
TRIES: Final = 6
"""Tries without a new byte until the process gives up; then the kubelet starts it again, with growing pauses."""
LONGEST_PAUSE: Final = 60.0
_TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
_WORTH_WAITING: Final = (408, 425, 429)
_OK, _PARTIAL, _OUT_OF_RANGE = 200, 206, 416
_WORDS: Final = {
    401: "the server wants other credentials",
    403: "the server refuses these credentials",
    404: "there is no such file",
    410: "the file is gone",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """The clock of a download, so that tests need not wait."""

    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    say: Callable[[str], None] = lambda _: None


class Part:
    """What is there of a file. It outlives the process: a restarted container goes on with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "part"
        self._note = folder / "validator"
        self.size = 0
        self.validator = self._note.read_text(encoding="ascii") if self._note.exists() else ""
        self._hash = hashlib.sha256()
        if not self.validator or not self.path.exists():
            self.begin("")
            return
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                self._hash.update(chunk)
                self.size += len(chunk)

    def begin(self, validator: str) -> None:
        """Start anew with a version of the file."""
        self.path.write_bytes(b"")
        self._note.write_text(validator, encoding="ascii")
        self.size, self.validator, self._hash = 0, validator, hashlib.sha256()

    def append(self, chunks: Iterator[bytes], seen: Seen) -> None:
        """Write to the end."""
        with self.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                self._hash.update(chunk)
                self.size += len(chunk)
                seen(len(chunk))

    @property
    def digest(self) -> str:
        """SHA-256 of what is there, hexadecimal."""
        return self._hash.hexdigest()


class Download:
    """GET of one URL into a Part.

    Proxies come from the environment, as with curl: on many clusters they are the only way out. They see no content,
    since everything is HTTPS from end to end.
    """

    def __init__(self, url: str, *, authorization: str | None, ca: Path | None, pace: Pace) -> None:
        self._url = httpx.URL(url)
        self._authorization = authorization
        self._context = _trust(ca)
        self._pace = pace

    def run(self, part: Part, seen: Seen, expect: Callable[[int], None]) -> None:
        """Fetch all of it; ``expect`` is told the whole size. Raises FetchError."""
        failures, farthest = 0, part.size
        with self._client() as client:
            while True:
                try:
                    self._try(client, part, seen, expect)
                except FetchError as error:
                    failures = 1 if part.size > farthest else failures + 1
                    if error.permanent or error.retry_after is None or failures >= TRIES:
                        raise
                    pause = min(max(error.retry_after, 2.0**failures * (0.5 + self._pace.jitter())), LONGEST_PAUSE)
                    self._pace.say(f"{error}; next try in {pause:.0f} s")
                    self._pace.sleep(pause)
                else:
                    return
                farthest = max(farthest, part.size)

    def _client(self) -> httpx.Client:
        try:
            return httpx.Client(verify=self._context, timeout=_TIMEOUT, follow_redirects=False)
        except (ImportError, ValueError):
            raise permanent("the proxy that the environment names cannot be used: write http://host:port") from None

    def _try(self, client: httpx.Client, part: Part, seen: Seen, expect: Callable[[int], None]) -> None:
        # Compressed answers have no ranges, and a digest is one of the file itself.
        headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
        if part.size and part.validator:
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator}
        try:
            with self._answer(client, headers) as response:
                total = _begin(response, part)
                if total is not None:
                    expect(total)
                    _need_room(part, total)
                part.append(response.iter_raw(), seen)
        except httpx.TimeoutException:
            raise temporary("no answer in time") from None
        except httpx.HTTPError as error:
            raise _connection(error) from None
        if total is not None and part.size != total:
            raise temporary(f"{part.size} of {total} bytes came")

    @contextmanager
    def _answer(self, client: httpx.Client, headers: dict[str, str]) -> Iterator[httpx.Response]:
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            known = (url.host, url.port) == (self._url.host, self._url.port)
            secret = {"Authorization": self._authorization} if self._authorization and known else {}
            with client.stream("GET", url, headers=headers | secret) as response:
                if not response.has_redirect_location:
                    _check(response)
                    yield response
                    return
                url = _redirected(response)
        raise permanent(f"more than {MAX_REDIRECTS} redirects")


def authorization(folder: Path) -> str | None:
    """Return the header from a mounted Secret: ``token``, or ``username`` and ``password``. Raises FetchError.

    A Secret that only has ``ca.crt`` trusts a server and shows it nothing.
    """
    try:
        token, username, password = (_secret(folder / name) for name in ("token", "username", "password"))
    except UnicodeDecodeError:
        raise permanent("the Secret of model.credentials holds something that is no text") from None
    if token:
        if not re.fullmatch(r"[!-~]+", token):
            raise permanent("the key token of the Secret of model.credentials is not a bearer token")
        return f"Bearer {token}"
    if username and password is not None:
        return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
    if (folder / AUTHORITY).exists():
        return None
    raise permanent("the Secret of model.credentials has neither the key token nor username and password")


def _trust(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if ca is not None:
            context.load_verify_locations(ca)
    except OSError:
        raise permanent(f"{ca.name if ca else ''} holds no certificate authority in PEM") from None
    return context


def _secret(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip("\r\n") if path.exists() else None


def _redirected(response: httpx.Response) -> httpx.URL:
    try:
        url = response.url.join(response.headers["Location"])
    except httpx.InvalidURL:
        raise permanent("a redirect to something that is no URL") from None
    if url.scheme != "https":
        raise permanent(f"a redirect to {url.scheme}:// is not followed")
    if url.userinfo:
        raise permanent("a redirect to a URL with user and password is not followed")
    return url


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status not in (_OK, _PARTIAL, _OUT_OF_RANGE):
        told = _WORDS.get(status, response.reason_phrase if status in _WORTH_WAITING else "")
        words = f"HTTP {status}" + (f": {told}" if told else "")
        if status >= 500 or status in _WORTH_WAITING:  # noqa: PLR2004
            asked = response.headers.get("Retry-After", "")
            raise temporary(words, retry_after=float(asked) if re.fullmatch(r"[0-9]{1,6}", asked) else 0.0)
        raise permanent(words)
    encoding = response.headers.get("Content-Encoding", "identity")
    # Some servers call an archive's own compression an encoding: then the bytes are what was asked for.
    if encoding != "identity" and not response.url.path.endswith((".gz", ".tgz")):
        raise permanent("the server compresses, although it was asked not to")


def _begin(response: httpx.Response, part: Part) -> int | None:
    """Make the part ready for an answer's body; return how long the whole file is, if that is known."""
    if response.status_code == _OK:
        part.begin(_validator(response))
        length = response.headers.get("Content-Length", "")
        return int(length) if re.fullmatch(r"[0-9]{1,20}", length) else None
    told = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", response.headers.get("Content-Range", ""))
    if response.status_code == _OUT_OF_RANGE or told is None or not part.size or int(told[1]) != part.size:
        part.begin("")
        raise temporary("the server does not go on where the last try ended")
    return None if told[2] == "*" else int(told[2])


def _validator(response: httpx.Response) -> str:
    """Return what tells this version of the file from others; without it every try starts anew."""
    tag = str(response.headers.get("ETag", ""))
    found = tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))
    return found if found.isascii() and found.isprintable() else ""


def _need_room(part: Part, total: int) -> None:
    missing, free = total - part.size, shutil.disk_usage(part.path.parent).free
    if missing > free:
        raise temporary(f"no room: {missing} bytes are to come, {free} are free", retry_after=None)


def _connection(error: httpx.HTTPError) -> FetchError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return permanent(f"the server's certificate is not trusted: {cause.verify_message}")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.RemoteProtocolError):
        return temporary("the connection ended early")
    return temporary(f"no connection ({type(error).__name__})")
