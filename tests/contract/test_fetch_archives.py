"""Archives over the wire: what is unpacked, and what would leave the directory."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.fakes.https import BODY, answer


def tar(files, mode="w", *members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            archive.addfile(info, io.BytesIO(content))
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return buffer.getvalue()


def zipped(files, links=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in links:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, target)
    return buffer.getvalue()


FILES = {"./config.json": b"{}", "weights/a.bin": b"aa", "weights/b.bin": b""}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/m.tar", tar(FILES)),
        ("/m.tar.gz", tar(FILES, "w:gz")),
        ("/M.TGZ", tar(FILES, "w:gz")),
        ("/m.zip", zipped({"config.json": b"{}", "weights/": b"", **{n: FILES[n] for n in list(FILES)[1:]}})),
    ],
)
def test_an_archive_is_unpacked_so_that_any_user_can_read_it(bring, server, path, body):
    server.script = [answer(body)]
    to = bring(server.url(path), digest=f"sha256:{hashlib.sha256(body).hexdigest()}")
    found = {str(file.relative_to(to)): file.read_bytes() for file in to.rglob("*") if file.is_file()}
    assert found == {"config.json": b"{}", "weights/a.bin": b"aa", "weights/b.bin": b""}
    assert {file.stat().st_mode & 0o777 for file in to.rglob("*")} == {0o644, 0o755}


def test_the_digest_is_verified_before_anything_is_unpacked(refusal, server, tmp_path):
    server.script = [answer(tar({"../evil": b"x"}))]
    says, permanent = refusal(url=server.url("/m.tar"), digest="sha256:" + "0" * 64)
    assert says.startswith("digest mismatch")
    assert permanent


SYM, HARD, FIFO, DEVICE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/m.tar", tar({"../evil": b"x"})),
        ("/m.tar", tar({"a/../../evil": b"x"})),
        ("/m.tar", tar({"/tmp/evil": b"x"})),
        ("/m.tar", tar({"a\\..\\evil": b"x"})),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", FIFO, ""))),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", DEVICE, ""))),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", SYM, "/etc/passwd"))),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", SYM, "../../outside"))),
        ("/m.tar", tar({"d/a": b"x"}, "w", ("b", SYM, "d"))),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", SYM, "a"), ("c", SYM, "b"))),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", SYM, "missing"))),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", HARD, "../../outside"))),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", HARD, "/etc/passwd"))),
        ("/m.tar", tar({"a": b"x"}, "w", ("a", SYM, "a"))),
        ("/m.tar", tar({"a": b"x"}, "w", ("b", SYM, "a"), ("b/c", SYM, "../a"))),
        ("/m.tar", tar({"a": b"x", "./a": b"y"})),
        ("/m.tar", tar({"a": b"x", "a/b": b"y"})),
        ("/m.tar", b"not an archive" * 100),
        ("/m.tar.gz", tar({"a": b"x"})),
        ("/m.tar.gz", tar({"a": BODY}, "w:gz")[:-400]),
        ("/m.zip", zipped({"../evil": b"x"})),
        ("/m.zip", zipped({"/evil": b"x"})),
        ("/m.zip", zipped({"a": b"x"}, [("b", "/etc/passwd")])),
        ("/m.zip", zipped({"a": b"x"}, [("b", "../../outside")])),
        ("/m.zip", b"PK\x03\x04 not really"),
    ],
)
def test_a_bad_archive_is_permanent_and_writes_nothing_outside(refusal, server, tmp_path, path, body):
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    server.script = [answer(body)]
    says, permanent = refusal(url=server.url(path))
    assert says.startswith("bad archive: ")
    assert permanent
    assert not list(tmp_path.rglob("evil"))
    assert not Path("/tmp/evil").exists()
    assert outside.read_text() == "untouched"
    assert not (tmp_path / "volume" / "model").exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/m.tar", tar({"v1/w": b"x"}, "w", ("w", SYM, "v1/w"), ("d/e/w", SYM, "../../v1/w"), ("v1/h", HARD, "v1/w"))),
        ("/m.zip", zipped({"v1/w": b"x"}, [("w", "v1/w"), ("d/e/w", "../../v1/w"), ("v1/h", "w")])),
    ],
)
def test_links_between_files_of_an_archive_work(bring, server, path, body):
    server.script = [answer(body)]
    to = bring(server.url(path))
    assert {(to / name).read_bytes() for name in ("v1/w", "w", "d/e/w", "v1/h")} == {b"x"}
