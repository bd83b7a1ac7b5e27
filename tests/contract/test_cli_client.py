"""What the plugin's own client sends, and what it makes of every answer: TLS, identities, refusals, lost ones."""

import asyncio
import socket
import ssl
import tempfile
from pathlib import Path

import pytest
from aiohttp import web

from fairway.cli.client import Client
from fairway.cli.errors import ApiError, CliError, UnreachableError
from fairway.cli.kubeconfig import Access
from fairway.cli.wire import CutError
from tests.fakes.api_server import FakeApiServer, cut_off, document, failure, html, truncated
from tests.fakes.https import make_certificate

POD = "/api/v1/namespaces/ml/pods"


def client(server, cluster=None, **user):
    return Client(Access({"server": server.url, **(cluster or {})}, user), timeout=2.0)


async def ask(made, *arguments, verb="get", **query):
    def call():
        try:
            return getattr(made, verb)(*arguments, **query)
        finally:
            made.close()

    return await asyncio.to_thread(call)


def left():
    return set(Path(tempfile.gettempdir()).glob("fairway-*"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def context(certificate, *, client_ca=None):
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*certificate)
    if client_ca:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(client_ca)
    return made


async def test_a_read_as_it_goes_over_the_wire():
    async with FakeApiServer([document({"kind": "Pod"})]) as server:
        await ask(
            client(server, {"server": f"{server.url}/prefix/"}, token="t", **{"as": "bob", "as-groups": ["g"]}),
            POD,
            limit="1",
        )
        call = server.call
    assert (call.method, call.path, call.query) == ("GET", f"/prefix{POD}", {"limit": "1"})
    sent = {
        name: call.headers.get(name) for name in ("Authorization", "Impersonate-User", "Impersonate-Group", "Accept")
    }
    assert sent == {
        "Authorization": "Bearer t",
        "Impersonate-User": "bob",
        "Impersonate-Group": "g",
        "Accept": "application/json, */*",
    }


async def test_a_patch_as_it_goes_over_the_wire():
    async with FakeApiServer([document({})]) as server:
        await ask(client(server), POD, {"spec": {"paused": None}}, verb="patch")
        call = server.call
    assert (call.method, call.body, call.query) == (
        "PATCH",
        {"spec": {"paused": None}},
        {"fieldManager": "kubectl-fairway"},
    )
    assert call.headers["Content-Type"] == "application/merge-patch+json"


async def test_a_long_list_is_read_page_by_page():
    pages = [
        document({"items": [{"n": 1}], "metadata": {"continue": "next"}}),
        document({"items": [{"n": 2}], "metadata": {}}),
    ]
    async with FakeApiServer(pages) as server:
        assert await ask(client(server), POD, verb="list") == [{"n": 1}, {"n": 2}]
        assert [call.query.get("continue") for call in server.calls] == [None, "next"]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500])
async def test_a_refusal_keeps_the_servers_words(status):
    async with FakeApiServer([failure(status, "Because", "two\nlines")]) as server:
        with pytest.raises(ApiError) as caught:
            await ask(client(server), POD)
    assert (caught.value.status, caught.value.reason, caught.value.message) == (status, "Because", "two lines")


async def test_a_busy_server_is_asked_again():
    async with FakeApiServer([failure(429), failure(503), document({"n": 1})]) as server:
        assert await ask(client(server), POD) == {"n": 1}


async def test_html_is_no_api_server():
    async with FakeApiServer([html(200)]) as server:
        with pytest.raises(CliError, match="did not answer as an API server does"):
            await ask(client(server), POD)
    async with FakeApiServer([html(502)]) as server:
        with pytest.raises(CliError, match="answered 502"):
            await ask(client(server), POD)


@pytest.mark.parametrize("answer", [truncated, cut_off])
async def test_a_broken_answer_is_one_line(answer):
    async with FakeApiServer([answer]) as server:
        with pytest.raises(CliError) as caught:
            await ask(client(server), POD)
    assert "\n" not in caught.value.message


async def test_a_kept_connection_that_has_ended_is_opened_anew():
    """Given a connection that the server closes after an answer, when asked again, then it is asked over a new one."""

    async def then_closed(request: web.Request) -> web.StreamResponse:
        response = web.json_response({"n": 1})
        await response.prepare(request)
        await response.write_eof()
        assert request.transport is not None
        request.transport.close()
        return response

    async with FakeApiServer([then_closed]) as server:
        made = client(server)

        def twice():
            try:
                return [made.get(POD), made.get(POD)]
            finally:
                made.close()

        assert await asyncio.to_thread(twice) == [{"n": 1}, {"n": 1}]


async def test_a_server_that_never_answers_is_left_in_time():
    async def never(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(10)
        return web.Response()

    async with FakeApiServer([never]) as server:
        made = Client(Access({"server": server.url}, {}), timeout=0.2)
        with pytest.raises(CliError, match="no answer in time"):
            await ask(made, POD)


@pytest.mark.parametrize("answer", [cut_off, truncated])
async def test_a_server_that_was_away_is_asked_again_by_the_same_client(answer):
    """Given a closed port or half an answer, when all is well again, then the same client gets its answer."""
    async with FakeApiServer([document({})]) as closed:
        made, port = client(closed), closed.port
    async with asyncio.timeout(10):
        with pytest.raises(UnreachableError):
            await asyncio.to_thread(made.get, POD)
        async with FakeApiServer([answer, answer, document({"n": 1})], port=port):
            with pytest.raises(UnreachableError):
                await asyncio.to_thread(made.get, POD)
        with pytest.raises(UnreachableError):
            await asyncio.to_thread(made.get, POD)
        async with FakeApiServer([document({"n": 1})], port=port):
            assert await ask(made, POD) == {"n": 1}


# --- streams ----------------------------------------------------------------------------------------------------------


async def read(made, into):
    """Keep all lines until the end, or until it breaks off."""
    await asyncio.to_thread(lambda: into.extend(made.lines(POD, seconds=0.5)))


def stream(*pieces, end=True, **headers):
    """An answer in pieces; without an end nothing comes any more, or the connection is closed."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if end == "silent":
            await asyncio.sleep(2)
        if end is False:
            assert request.transport is not None
            request.transport.close()
        return response

    return answer


async def test_an_answer_is_read_line_by_line():
    async with FakeApiServer([stream(b"one\ntw", b"o\n\xff\n")]) as server:
        lines: list[str] = []
        await read(client(server), lines)
    assert lines == ["one", "two", "\ufffd"]


@pytest.mark.parametrize(
    "answer",
    [
        stream(b"one\n", end="silent"),
        stream(b"one\n", end=False),
        stream(b"one\n", end=False, **{"Content-Length": "1000"}),
    ],
    ids=["silent", "chunked", "by length"],
)
async def test_a_stream_that_breaks_off_says_so(answer):
    """Given a stream that is cut, when it is read, then what came is there, and its end is no good one."""
    lines: list[str] = []
    async with FakeApiServer([answer]) as server:
        with pytest.raises(CutError, match="the answer broke off"):
            await read(client(server), lines)
    assert lines == ["one"]


async def test_a_server_that_never_shakes_hands_is_left_in_time():
    """Given logs that are followed for ever, when no connection comes about, then that is not waited for as long."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        made = Client(Access({"server": f"https://127.0.0.1:{port}"}, {}), timeout=0.2)
        async with asyncio.timeout(10):
            with pytest.raises(UnreachableError, match="no answer in time"):
                await asyncio.to_thread(lambda: list(made.lines(POD, seconds=None)))


async def test_a_watch_that_breaks_off_has_ended():
    event = b'{"type": "ADDED", "object": {"n": 1}}\n'
    async with FakeApiServer([stream(event, b'{"type": "MOD', end=False)]) as server:
        made = client(server)
        assert await asyncio.to_thread(lambda: list(made.watch(POD, seconds=1))) == [("ADDED", {"n": 1})]


# --- TLS --------------------------------------------------------------------------------------------------------------


async def test_the_server_is_verified_by_the_kubeconfigs_authority(certificate):
    async with FakeApiServer([document({"n": 1})], tls=context(certificate)) as server:
        assert await ask(client(server, {"certificate-authority": str(certificate[0])}), POD) == {"n": 1}
        with pytest.raises(CliError, match="its certificate is not trusted"):
            await ask(client(server), POD)
        assert await ask(client(server, {"insecure-skip-tls-verify": True}), POD) == {"n": 1}


async def test_another_name_may_be_verified(certificate):
    trusted = {"certificate-authority": str(certificate[0])}
    async with FakeApiServer([document({"n": 1})], tls=context(certificate)) as server:
        assert await ask(client(server, {**trusted, "tls-server-name": "localhost"}), POD) == {"n": 1}
        with pytest.raises(CliError, match="not trusted"):
            await ask(client(server, {**trusted, "tls-server-name": "elsewhere"}), POD)


async def test_a_client_certificate_is_shown_and_leaves_no_file(certificate, tmp_path):
    """Given a server that wants to see a certificate, when the kubeconfig has one, then it is let in."""
    mine = tmp_path / "mine"
    mine.mkdir()
    crt, key = make_certificate(mine)
    trusted = {"certificate-authority": str(certificate[0])}
    before = left()
    async with FakeApiServer([document({"n": 1})], tls=context(certificate, client_ca=str(crt))) as server:
        user = {"client-certificate": str(crt), "client-key": str(key)}
        assert await ask(client(server, trusted, **user), POD) == {"n": 1}
        with pytest.raises(CliError):
            await ask(client(server, trusted), POD)
    assert left() == before


async def test_a_renewed_token_is_fetched_after_a_401(tmp_path):
    """Given a plugin whose token has expired, when refused, then it is asked once more, and so is the server."""
    plugin = tmp_path / "plugin"
    counted = f"$(echo x >> {tmp_path}/n; wc -l < {tmp_path}/n | tr -d ' ')"
    plugin.write_text(f'#!/bin/sh\necho "{{\\"status\\":{{\\"token\\":\\"t{counted}\\"}}}}"\n')
    plugin.chmod(0o755)
    async with FakeApiServer([failure(401), document({"n": 1})]) as server:
        assert await ask(client(server, exec={"command": str(plugin)}), POD) == {"n": 1}
        assert [call.headers["Authorization"] for call in server.calls] == ["Bearer t1", "Bearer t2"]
    async with FakeApiServer([failure(401, "Unauthorized", "expired")]) as server:
        with pytest.raises(ApiError, match="expired"):
            await ask(client(server, token="x"), POD)


async def test_threads_share_what_a_plugin_has_said(tmp_path):
    """Given a plugin that may open a browser, when another thread asks, then the plugin is not run again."""
    plugin = tmp_path / "plugin"
    plugin.write_text(f'#!/bin/sh\necho x >> {tmp_path}/n\necho \'{{"status":{{"token":"t"}}}}\'\n')
    plugin.chmod(0o755)
    async with FakeApiServer([document({})]) as server:
        made = client(server, exec={"command": str(plugin)})
        others = [made.another() for _ in range(3)]
        await asyncio.gather(*(ask(each, POD) for each in (made, *others)))
    assert (tmp_path / "n").read_text() == "x\n"


async def test_a_proxy_that_cannot_be_used_is_named(certificate):
    async with FakeApiServer([document({})], tls=context(certificate)) as server:
        with pytest.raises(CliError, match="not an http:// proxy"):
            await ask(client(server, {"proxy-url": "socks5://127.0.0.1:1"}), POD)
