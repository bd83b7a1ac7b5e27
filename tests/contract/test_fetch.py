"""What ``fairway fetch`` does with servers, good and bad: over real TLS on the loopback."""

import gzip
import hashlib
import shutil
import subprocess
import sys
import threading

import pytest

from fairway.adapters import fetch_http
from fairway.adapters.fetch import PERMANENT, TEMPORARY, Job, fetch
from fairway.adapters.fetch_error import FetchError
from tests.fakes.https import BODY, answer

SHA = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


def ranged(handler):
    """Answer with what is missing, as asked."""
    first = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
    told = f"bytes {first}-{len(BODY) - 1}/{len(BODY)}"
    answer(BODY[first:], 206, Content_Range=told, ETag='"v1"')(handler)


# --- a file ------------------------------------------------------------------------------------------------------


def test_a_file_arrives_whole_under_its_name_and_nothing_else(bring, server, tmp_path):
    to = bring(server.url("/a/churn%20v2.pkl?signature=secret"), digest=SHA)
    assert [path.name for path in to.iterdir()] == ["churn v2.pkl"]
    assert (to / "churn v2.pkl").read_bytes() == BODY
    assert (to / "churn v2.pkl").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.joinpath("volume").iterdir()] == ["model"]
    assert server.asked[0][1]["accept-encoding"] == "identity"
    assert "authorization" not in server.asked[0][1]
    assert not any("secret" in line for line in bring.said)


def test_what_is_there_is_not_fetched_again(bring, server):
    bring()
    bring()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (404, "HTTP 404: there is no such file"),
        (401, "HTTP 401: the server wants other credentials"),
        (403, "HTTP 403: the server refuses these credentials"),
        (400, "HTTP 400"),
        (304, "HTTP 304"),
    ],
)
def test_a_refusal_is_permanent_and_asked_once(refusal, server, status, says):
    server.script = [answer(b"<html>secret</html>" if status != 304 else b"", status)]
    assert refusal() == (says, True)
    assert len(server.asked) == 1


def test_a_server_in_trouble_is_asked_again_and_its_wish_is_heard(bring, server):
    server.script = [answer(status=500), answer(status=429, Retry_After="7"), answer(BODY)]
    assert (bring(digest=SHA) / "model.bin").read_bytes() == BODY
    assert 1 <= bring.slept[0] <= 3
    assert bring.slept[1] == 7


def test_a_server_that_stays_in_trouble_is_a_temporary_failure(bring, refusal, server):
    server.script = [answer(status=503, Retry_After="100000")]
    assert refusal() == ("HTTP 503", False)
    assert len(server.asked) == fetch_http.TRIES
    assert bring.slept == [60] * (fetch_http.TRIES - 1)


def test_a_truncated_answer_goes_on_where_it_ended(bring, server):
    server.script = [answer(BODY[:100_000], length=len(BODY), ETag='"v1"'), ranged]
    assert (bring(digest=SHA) / "model.bin").read_bytes() == BODY
    assert server.asked[1][1]["range"] == "bytes=100000-"
    assert server.asked[1][1]["if-range"] == '"v1"'


def test_a_restarted_container_goes_on_with_what_the_former_one_had(bring, refusal, server):
    server.script = [answer(BODY[:100_000], length=len(BODY), ETag='"v1"'), answer(status=404)]
    assert refusal()[1]
    server.script = [ranged]
    assert (bring(digest=SHA) / "model.bin").read_bytes() == BODY


def test_a_version_that_changed_or_cannot_be_told_starts_anew(bring, server):
    changed = answer(BODY, ETag='"v2"')
    server.script = [answer(b"x" * 1000, length=len(BODY), ETag='"v1"'), changed]
    assert (bring(digest=SHA) / "model.bin").read_bytes() == BODY
    assert "range" in server.asked[1][1]


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_a_strong_validator_nothing_is_glued_together(bring, server, headers):
    server.script = [answer(BODY[:100_000], length=len(BODY), **headers), answer(BODY)]
    assert (bring(digest=SHA) / "model.bin").read_bytes() == BODY
    assert "range" not in server.asked[1][1]


@pytest.mark.parametrize("wrong", [answer(status=416), answer(b"abc", 206, Content_Range="bytes 5-7/8")])
def test_an_answer_for_another_range_starts_anew(bring, server, wrong):
    server.script = [answer(BODY[:100_000], length=len(BODY), ETag='"v1"'), wrong, answer(BODY)]
    assert (bring(digest=SHA) / "model.bin").read_bytes() == BODY


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(refusal, server):
    server.script = [answer(BODY[:10], length=len(BODY))]
    assert refusal() == ("the connection ended early", False)
    assert len(server.asked) == fetch_http.TRIES


def test_a_wrong_digest_is_permanent_and_leaves_nothing(refusal, server, tmp_path):
    server.script = [answer(b"other")]
    got = hashlib.sha256(b"other").hexdigest()
    assert refusal(digest=SHA) == (f"digest mismatch: got sha256:{got} wanted {SHA}", True)
    assert list((tmp_path / "volume").iterdir()) == []


def test_an_answer_larger_than_the_disk_is_not_begun(refusal, server):
    server.script = [answer(b"", length=1 << 60)]
    says, permanent = refusal()
    assert says.startswith("no room: 1152921504606846976 bytes are to come")
    assert not permanent
    assert len(server.asked) == 1


def test_compression_that_nobody_asked_for_is_refused_except_for_an_archives_own(bring, refusal, server):
    server.script = [answer(BODY, Content_Encoding="gzip")]
    assert refusal() == ("the server compresses, although it was asked not to", True)
    server.script = [answer(gzip.compress(BODY, mtime=0), Content_Encoding="x-gzip")]
    assert (bring(server.url("/m.gz")) / "m.gz").read_bytes() == gzip.compress(BODY, mtime=0)


# --- where it goes, and what it shows -----------------------------------------------------------------------------


def secret(tmp_path, **keys):
    folder = tmp_path / "secret"
    folder.mkdir()
    for name, value in keys.items():
        (folder / name).write_text(value)
    return folder


def test_a_token_goes_to_its_host_and_not_to_where_it_redirects(bring, server, tmp_path):
    server.script = [answer(status=302, Location=server.url("/else", host="localhost")), answer(BODY)]
    bring(credentials=secret(tmp_path, token="s3cret\n"), digest=SHA)
    assert server.asked[0][1]["authorization"] == "Bearer s3cret"
    assert "authorization" not in server.asked[1][1]


def test_a_name_and_a_password_are_sent_and_kept_within_a_host(bring, server, tmp_path):
    server.script = [answer(status=307, Location="/else"), answer(BODY)]
    bring(credentials=secret(tmp_path, username="ann", password="pa:ss"))
    assert {headers["authorization"] for _, headers in server.asked} == {"Basic YW5uOnBhOnNz"}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({}, "the Secret of model.credentials has neither the key token nor username and password"),
        ({"username": "ann"}, "the Secret of model.credentials has neither the key token nor username and password"),
        ({"token": "a\nHost: evil"}, "the key token of the Secret of model.credentials is not a bearer token"),
    ],
)
def test_a_secret_without_sense_is_permanent(refusal, server, tmp_path, keys, says):
    assert refusal(credentials=secret(tmp_path, **keys)) == (says, True)
    assert server.asked == []


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("http://127.0.0.1/x", "a redirect to http:// is not followed"),
        ("file:///etc/passwd", "a redirect to file:// is not followed"),
        ("https://a:b@127.0.0.1/x", "a redirect to a URL with user and password is not followed"),
        ("/again", "more than 3 redirects"),
    ],
)
def test_a_redirect_that_is_not_followed(refusal, server, location, says):
    server.script = [answer(status=302, Location=location)]
    assert refusal() == (says, True)


def test_a_stranger_is_not_trusted(server, tmp_path):
    with pytest.raises(FetchError) as caught:
        fetch(Job(tmp_path / "model", server.url()), lambda _: None, lambda _: None)
    assert caught.value.permanent
    assert str(caught.value) == "the server's certificate is not trusted: self-signed certificate"


def test_the_authority_may_come_with_the_secret(server, authority, tmp_path):
    folder = secret(tmp_path)
    shutil.copy(authority[0], folder / "ca.crt")
    fetch(Job(tmp_path / "model", server.url(), SHA, folder), lambda _: None)
    assert "authorization" not in server.asked[0][1]


def test_the_proxy_of_the_environment_is_the_way_out(refusal, server, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert refusal() == ("no connection (ConnectError)", False)
    assert server.asked == []
    monkeypatch.setenv("HTTPS_PROXY", "socks9://127.0.0.1:1")
    assert refusal()[1]


# --- the program -------------------------------------------------------------------------------------------------

PROGRAM = """
import argparse, sys
from fairway.adapters import fetch
parser = argparse.ArgumentParser()
fetch.add_arguments(parser)
code = fetch.run(parser.parse_args())
# Not ru_maxrss: a child inherits its parent's.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
sys.exit(code)
"""


def command(log, *arguments):
    return [sys.executable, "-c", PROGRAM, "--termination-log", str(log), *arguments]


def program(tmp_path, *arguments):
    log = tmp_path / "termination-log"
    done = subprocess.run(command(log, *arguments), capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines(), log.read_text() if log.exists() else ""


def test_a_huge_file_takes_no_memory(server, authority, tmp_path):
    size, chunk = 128 << 20, bytes(1 << 20)

    def huge(handler):
        answer(length=size)(handler)
        for _ in range(size // len(chunk)):
            handler.wfile.write(chunk)

    server.script = [huge]
    code, lines, _ = program(tmp_path, "--uri", server.url(), "--to", f"{tmp_path}/v/model", "--ca", str(authority[0]))
    assert code == 0
    assert (tmp_path / "v" / "model" / "model.bin").stat().st_size == size
    assert lines[0].startswith("fetched 128.0 MiB, sha256:")
    assert int(lines[-1]) < 100


def test_the_exit_code_and_the_last_words_say_whether_waiting_helps(server, authority, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    server.script = [answer(status=404)]
    to = ("--to", f"{tmp_path}/model")
    code, _, words = program(tmp_path, "--uri", server.url(), *to)
    assert (code, words) == (PERMANENT, "permanent: HTTP 404: there is no such file")
    (tmp_path / "file").write_text("")
    code, _, words = program(tmp_path, "--verify", "--digest", SHA, "--to", f"{tmp_path}/file")
    assert (code, words.partition(" got ")[0]) == (PERMANENT, "permanent: digest mismatch:")
    code, _, words = program(tmp_path, "--uri", server.url(), "--to", f"{tmp_path}/file/x/model")
    assert (code, words) == (TEMPORARY, "temporary: Not a directory: '.fetch'")


def test_a_pod_that_is_deleted_need_not_wait(server, authority, tmp_path):
    asked, ended = threading.Event(), threading.Event()

    def hanging(_):
        asked.set()
        ended.wait(30)

    server.script = [hanging]
    started = command(tmp_path / "log", "--uri", server.url(), "--to", f"{tmp_path}/model", "--ca", str(authority[0]))
    with subprocess.Popen(started, stdout=subprocess.PIPE) as process:
        assert asked.wait(20)
        process.terminate()
        assert process.wait(10) == 143
        ended.set()
