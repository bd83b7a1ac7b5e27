"""Digests of models and the words of the fetch: what needs no server."""

import argparse
import errno
import io
import subprocess
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairway.adapters.fetch import EVERY, Job, Progress, _name, _of_the_system, add_arguments, run, verify
from fairway.adapters.fetch_archive import unpack
from fairway.adapters.fetch_error import FetchError
from fairway.adapters.fetch_tree import digest_of, file_digest, is_inside, tree_digest

SHA = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
FILES = st.dictionaries(st.text("ab/. é", min_size=1, max_size=6), SHA, max_size=6)


def nothing(_):
    pass


# --- digests -----------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(files=FILES, data=st.data())
def test_the_order_in_which_a_tree_is_read_does_not_matter(files, data):
    shuffled = data.draw(st.permutations(list(files.items())))
    assert tree_digest(shuffled) == tree_digest(files.items())


@settings(max_examples=40)
@given(one=FILES, other=FILES)
def test_two_trees_have_one_digest_only_if_they_are_equal(one, other):
    assert (tree_digest(one.items()) == tree_digest(other.items())) == (one == other)


def tree(tmp_path, files):
    root = tmp_path / "tree"
    root.mkdir()
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_common_tools_give_the_same_digest(tmp_path):
    root = tree(tmp_path, {"b/x y.bin": b"1", "a.bin": b"2", "B": b"", "é": b"3"})
    (root / "link").symlink_to("b/x y.bin")
    tools = r"find -L . -type f -printf '%P\0' | xargs -0 sha256sum | LC_ALL=C sort | sha256sum"
    said = subprocess.run(["bash", "-c", tools], cwd=root, capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == digest_of(root, nothing)


def test_of_a_file_it_is_the_digest_of_its_content(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"model")
    assert digest_of(path, nothing) == file_digest(path, nothing)
    assert digest_of(path, nothing).startswith("9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4")


def test_the_file_systems_own_folder_does_not_count_but_a_models_does(tmp_path):
    root = tree(tmp_path, {"a": b"1"})
    before = digest_of(root, nothing)
    (root / "lost+found").mkdir()
    (root / "lost+found" / "x").write_text("")
    assert digest_of(root, nothing) == before
    (root / "b" / "lost+found").mkdir(parents=True)
    (root / "b" / "lost+found" / "x").write_text("")
    assert digest_of(root, nothing) != before


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "folder", "missing", "../tree/a"])
def test_what_a_digest_cannot_vouch_for_is_refused(tmp_path, target):
    root = tree(tmp_path, {"a": b"1", "folder/b": b"2"})
    (tmp_path / "outside").write_text("")
    (root / "link").symlink_to(target)
    with pytest.raises(FetchError, match=r"'link' is neither a file nor a link to a file of the same tree") as caught:
        digest_of(root, nothing)
    assert caught.value.permanent


def test_a_name_that_reads_as_another_tree_is_refused(tmp_path):
    with pytest.raises(FetchError, match="cannot be verified"):
        digest_of(tree(tmp_path, {"a\nb": b""}), nothing)


def test_nothing_there_is_permanent(tmp_path):
    with pytest.raises(FetchError, match="neither a file nor a directory"):
        digest_of(tmp_path / "none", nothing)


@pytest.mark.parametrize(
    ("folder", "target", "inside"),
    [
        ("", "a", True),
        ("a/b", "../../c", True),
        ("", "..a", True),
        ("", "../a", False),
        ("", "..", False),
        ("a", "../../b", False),
        ("a", "/a/b", False),
        ("", "/../a", False),
    ],
)
def test_where_a_link_leads(folder, target, inside):
    assert is_inside(folder, target) is inside


def test_a_tree_is_verified_and_a_mismatch_shows_both(tmp_path):
    root, said = tree(tmp_path, {"a": b"1"}), []
    right = f"sha256:{digest_of(root, nothing)}"
    verify(Job(root, digest=right), said.append)
    assert said == [f"verified {right}"]
    with pytest.raises(FetchError) as caught:
        verify(Job(root, digest="sha256:" + "0" * 64), said.append)
    assert str(caught.value) == f"digest mismatch: got {right} wanted sha256:{'0' * 64}"


# --- archives ----------------------------------------------------------------------------------------------------


def archives():
    tarred, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        for name, kind in (("d", tarfile.DIRTYPE), ("d/l", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../a" if name == "d/l" else "a"
            archive.addfile(info)
        info = tarfile.TarInfo("a")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d/a", b"abc" * 100)
    return {"m.tar": tarred.getvalue(), "m.zip": zipped.getvalue()}


ARCHIVES = archives()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(ARCHIVES)),
    changes=st.lists(st.tuples(st.integers(0, 2500), st.sampled_from(b"./0\x007\xff\\")), max_size=8),
)
def test_a_damaged_archive_is_unpacked_inside_or_refused(tmp_path_factory, name, changes):
    body = bytearray(ARCHIVES[name])
    for at, byte in changes:
        body[at % len(body)] = byte
    folder = tmp_path_factory.mktemp("a")
    (folder / "to").mkdir()
    (folder / name).write_bytes(body)
    try:
        unpack(folder / name, name, folder / "to", nothing)
    except FetchError as error:
        assert error.permanent or "no room" in str(error)  # noqa: PT017
    assert {path.name for path in folder.iterdir()} == {"to", name}
    assert all(path.resolve().is_relative_to(folder / "to") for path in (folder / "to").rglob("*"))


# --- the program -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://h/a/model.bin", "model.bin"),
        ("https://h/a/model.tar.gz?sig=x/y", "model.tar.gz"),
        ("https://h/", "model"),
        ("https://h/a/%2e%2e", "model"),
        ("https://h/%2Fetc%2Fpasswd", "passwd"),
        ("https://h/a%00b%0ac", "a_b_c"),
        ("https://h/models/v2/", "v2"),
    ],
)
def test_the_name_of_a_file_is_the_last_part_of_its_url(uri, name):
    assert _name(uri) == name


def test_progress_is_a_line_each_ten_seconds():
    now, said = [0.0], []
    progress = Progress(said.append, lambda: now[0], total=4 << 20)
    for now[0] in (1.0, EVERY, EVERY + 1, 2 * EVERY + 1):
        progress.seen(1 << 20)
    assert said == ["fetched 2.0 MiB of 4.0 MiB in 10 s", "fetched 4.0 MiB of 4.0 MiB in 21 s"]


def options(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_reason_is_left_where_the_kubelet_finds_it(tmp_path, capsys):
    log = tmp_path / "log"
    asked = options("--verify", "--to", str(tmp_path / "none"), "--digest", "x", "--termination-log", str(log))
    assert run(asked) == 3
    assert log.read_text() == "permanent: there is neither a file nor a directory to verify"
    assert capsys.readouterr().out.strip() == log.read_text()


@pytest.mark.parametrize(
    ("error", "permanent", "says"),
    [
        (PermissionError(errno.EACCES, "", "/mnt/models/a.bin"), True, "Permission denied: 'a.bin'"),
        (OSError(errno.ENOSPC, ""), False, "No space left on device"),
        (OSError(errno.EIO, "", "/mnt/models/x\n"), False, "Input/output error: 'x\\n'"),
        (TimeoutError(), False, "TimeoutError"),
    ],
)
def test_what_the_system_refuses_says_why_and_whether_waiting_helps(error, permanent, says):
    told = _of_the_system(error)
    assert (told.permanent, str(told)) == (permanent, says)


@pytest.mark.parametrize("arguments", [[], ["--uri", "https://h", "--verify"], ["--to", "/x"]])
def test_a_command_line_says_one_thing(arguments, capsys):
    with pytest.raises(SystemExit):
        options("--to", "/x", *arguments)
