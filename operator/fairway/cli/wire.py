"""What may happen between us and a server, each in one line; and TLS that verifies another name."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from fairway.cli.errors import CliError, UnreachableError


class GoneError(UnreachableError):
    """The connection ended without an answer."""


class CutError(UnreachableError):
    """The answer had begun, and broke off."""


class Tls(http.client.HTTPSConnection):
    """HTTPS that verifies another name than it connects to, where the kubeconfig asks for that."""

    server_name = ""

    def connect(self) -> None:
        """Connect, and shake hands."""
        http.client.HTTPConnection.connect(self)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(self.sock, server_hostname=self.server_name)


@contextmanager
def answering(connection: http.client.HTTPConnection, url: str) -> Iterator[None]:
    """Turn what may happen on the wire into one line."""
    place = f"{connection.host}:{connection.port}"
    try:
        yield
    except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
        raise GoneError(f"{place} ended the connection") from error
    except TimeoutError as error:
        raise UnreachableError(f"no answer in time: {url}") from error
    except socket.gaierror as error:
        raise UnreachableError(f"{connection.host}: there is no such host") from error
    except ssl.SSLCertVerificationError as error:
        raise CliError(f"{connection.host}: its certificate is not trusted: {error.verify_message}") from error
    except (http.client.HTTPException, OSError) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreachableError(f"{place} cannot be reached: {words}") from error


def lines_of(response: http.client.HTTPResponse) -> Iterator[str]:
    """Yield an answer line by line. Raises IncompleteRead when it ends before its end: ``readline`` hides that."""
    rest = b""
    while piece := response.read1():
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", errors="replace") for line in whole)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    if rest:
        yield rest.decode("utf-8", errors="replace")
