"""What every verb works with: the API server, the terminal, the time."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO, TypeVar
from urllib.parse import quote

from fairway.api import GROUP, VERSION
from fairway.cli import kubeconfig
from fairway.cli.client import Client, Manifest
from fairway.cli.errors import ApiError, CliError
from fairway.cli.rights import FORBIDDEN, Right, explain
from fairway.cli.words import seconds

if TYPE_CHECKING:
    from rich.console import Console

Found = TypeVar("Found")
PLURAL = "modeldeployments"
NOT_FOUND = 404


@dataclass
class Session:
    """One call of the program."""

    flags: kubeconfig.Flags
    verbose: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.time
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    width: int | None = None
    pause: float = 3.0
    """Seconds from the beginning of one watch to that of the next, at least."""
    refused: set[str] = field(default_factory=set)
    """Paths that we may not read: they are not asked for twice."""

    @property
    def terminal(self) -> bool:
        """Whether somebody looks at the output."""
        return self.out.isatty()

    @cached_property
    def client(self) -> Client:
        """The API server, as the kubeconfig and the flags say."""
        found = kubeconfig.access(self.flags, self.environment)
        log = self.note if self.verbose else lambda _line: None
        asked = self.flags.request_timeout
        timeout = _timeout(asked) if asked else 30.0
        return Client(found, timeout=timeout, interactive=sys.stdin.isatty(), log=log)

    @cached_property
    def console(self) -> "Console":
        """The terminal as it is: its width, and colours where it has them."""
        from fairway.cli.style import console  # noqa: PLC0415  not needed for machine-readable output

        return console(self.out, self.width)

    @property
    def namespace(self) -> str:
        """The namespace that is meant."""
        return self.client.namespace

    def beside(self) -> "Session":
        """Return a session of the same user for another thread: with a connection of its own."""
        made = replace(self)
        made.__dict__["client"] = self.client.another()
        return made

    def close(self) -> None:
        """Close the connection, if there is one."""
        if "client" in self.__dict__:
            self.client.close()

    def now(self) -> float:
        """Epoch seconds."""
        return self.clock()

    def say(self, text: str) -> None:
        """Print one line of plain text."""
        print(text, file=self.out, flush=True)

    def lines(self, content: Any, *, indent: int | None = None, first: int = 0) -> None:
        """Print something drawn; a text with ``indent`` is wrapped so that its lines after the first are indented."""
        from fairway.cli import style  # noqa: PLC0415  not needed for machine-readable output

        if indent is None:
            drawn = style.lines(self.console, content)
        else:
            drawn = style.hanging(self.console, content, indent, first=first)
        self.say("\n".join(drawn))

    def line(self, content: Any) -> None:
        """Print one line of drawn text that is never broken: it may go to grep."""
        with self.console.capture() as captured:
            self.console.print(content, no_wrap=True, overflow="ignore", crop=False)
        self.say(captured.get().rstrip())

    def note(self, text: str) -> None:
        """Print one line beside the output."""
        print(text, file=self.err, flush=True)

    # --- reading ------------------------------------------------------------------------------------------------------

    def model(self, name: str) -> Manifest:
        """Read one ModelDeployment."""
        try:
            return self.client.get(model_path(self.namespace, name))
        except ApiError as error:
            if error.status == NOT_FOUND:
                raise self._not_found(name) from None
            raise explain(self.client, error, self.right("get")) from None

    def read(self, path: str, right: Right, **query: str) -> list[Manifest]:
        """List something; names the missing right, and says when Fairway is not installed."""
        try:
            return self.client.list(path, **query)
        except ApiError as error:
            absent = self._not_installed() if error.status == NOT_FOUND else None
            raise absent or explain(self.client, error, right) from None

    def try_list(self, path: str, **query: str) -> list[Manifest] | None:
        """List something that is good to have; None where we may not, or where there is no such kind."""
        return self._try(path, lambda: self.client.list(path, **query))

    def try_get(self, path: str) -> Manifest | None:
        """Read something that is good to have; None where we may not, or where it is not."""
        return self._try(path, lambda: self.client.get(path))

    def _try(self, path: str, ask: Callable[[], Found]) -> Found | None:
        if path in self.refused:
            return None
        try:
            return ask()
        except ApiError as error:
            if error.status == FORBIDDEN:
                self.refused.add(path)
            elif error.status != NOT_FOUND:
                raise
            return None

    def right(self, verb: str) -> Right:
        """Return the right to do something with ModelDeployments here."""
        return Right(verb, PLURAL, GROUP, self.namespace)

    def _not_found(self, name: str) -> CliError:
        return self._not_installed() or CliError(f"there is no ModelDeployment {name} in namespace {self.namespace}")

    def _not_installed(self) -> CliError | None:
        """Return what to say where the cluster does not know ModelDeployments at all."""
        try:
            self.client.get(f"/apis/{GROUP}/{VERSION}")
        except ApiError as error:
            if error.status == NOT_FOUND:
                return CliError("this cluster has no kind ModelDeployment: Fairway is not installed in it")
        return None


def model_path(namespace: str | None, name: str = "") -> str:
    """Path of one ModelDeployment, of those of a namespace, or of all."""
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}{where}/{PLURAL}" + (f"/{quote(name, safe='')}" if name else "")


def core_path(namespace: str | None, plural: str, name: str = "") -> str:
    """Path of core/v1 objects."""
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/api/v1{where}/{plural}" + (f"/{name}" if name else "")


def group_path(group: str, namespace: str | None, plural: str, name: str = "") -> str:
    """Path of objects of another group and version, such as apps/v1."""
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/apis/{group}{where}/{plural}" + (f"/{name}" if name else "")


def _timeout(text: str) -> float | None:
    """Read --request-timeout as kubectl does: seconds or a duration, 0 for none."""
    try:
        length = float(text) if text.replace(".", "", 1).isdigit() else seconds(text)
    except ValueError:
        length = 0.0
    if not length and text.strip("0smh."):
        raise CliError(f"--request-timeout {text}: not a time such as 5s or 1m")
    return length or None


Options = Any
"""What argparse found."""
