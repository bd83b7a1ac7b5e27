"""What makes `build-image` build again, and under which names the result is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import build, buildah, images


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("churn:1.0.0", "docker.io/library/churn:1.0.0"),
        ("churn", "docker.io/library/churn:latest"),
        ("team/churn:1", "docker.io/team/churn:1"),
        ("localhost/churn:1", "localhost/churn:1"),
        ("registry.example/churn:1", "registry.example/churn:1"),
        ("registry:5000/churn", "registry:5000/churn:latest"),
    ],
)
def test_names_are_those_the_kubelet_looks_up(given: str, full: str) -> None:
    assert images.normalise(given) == full


@pytest.mark.parametrize(
    ("path", "patterns", "expected"),
    [
        ("a/b.py", ["a"], True),
        ("a/b.py", ["*.py"], False),
        ("b.py", ["*.py"], True),
        ("a/b.pyc", ["**/*.pyc"], True),
        ("a/__pycache__/x", ["**/__pycache__"], True),
        ("docs/x", ["*", "!docs"], False),
        ("other/x", ["*", "!docs"], True),
        (".git/HEAD", [".git"], True),
    ],
)
def test_dockerignore(path: str, patterns: list[str], expected: bool) -> None:
    assert build.ignored(path, patterns) is expected


def _request(folder: Path, **arguments: str) -> build.Request:
    return build.Request("x:1", folder / "Dockerfile", folder, arguments)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / ".dockerignore").write_text("# nothing of this\nnoise/\n")
    (tmp_path / "noise").mkdir()
    (tmp_path / "app.py").write_text("1")
    return tmp_path


def test_key_follows_content(context: Path) -> None:
    before = build.content_key(_request(context), "base")
    (context / "noise" / "x").write_text("ignored")
    (context / "app.py").touch()
    assert build.content_key(_request(context), "base") == before
    changed = [build.content_key(_request(context, A="1"), "base"), build.content_key(_request(context), "other")]
    (context / "app.py").write_text("2")
    changed.append(build.content_key(_request(context), "base"))
    (context / "app.py").chmod(0o755)
    changed.append(build.content_key(_request(context), "base"))
    assert len({before, *changed}) == 5


def test_builds_see_installer_settings_but_images_do_not_keep_them() -> None:
    environment = {"PIP_CERT": "/c.pem", "UV_INDEX": "i", "PIP_FIND_LINKS": "/host", "HOME": "/root"}
    words = [str(word) for word in buildah.build_words(Path("D"), Path("ctx"), {"BASE": "b"}, environment)]
    text = " ".join(words)
    assert "--env PIP_CERT=/c.pem --unsetenv PIP_CERT" in text
    assert "--env UV_INDEX=i --unsetenv UV_INDEX" in text
    assert "FIND_LINKS" not in text
    assert "HOME" not in text
    assert "--build-arg BASE=b" in text
    assert words[-1] == "ctx"


def test_pip_configuration_becomes_variables() -> None:
    config = "[global]\nindex-url = https://x/%20y\ncert = /c\n[install]\nuser = no\n"
    assert buildah.pip_settings(config) == {"PIP_INDEX_URL": "https://x/%20y", "PIP_CERT": "/c"}
    assert buildah.pip_settings("") == {}
