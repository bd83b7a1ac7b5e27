"""Which cluster and as whom: kubectl's rules for kubeconfig files, contexts, flags and credential plugins."""

import base64
import json
import os
import stat

import pytest
import yaml

from fairway.cli.credentials import Credentials
from fairway.cli.errors import CliError
from fairway.cli.kubeconfig import Access, Flags, access, contexts, merge


def config(name, *, current=None, namespace=None, server=None, **user):
    context = {"cluster": name, "user": name} | ({"namespace": namespace} if namespace else {})
    return {
        "current-context": current or name,
        "clusters": [{"name": name, "cluster": {"server": server or f"https://{name}.example"}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": context}],
    }


@pytest.fixture
def files(tmp_path):
    def write(**contents):
        paths = []
        for name, content in contents.items():
            path = tmp_path / name / "config"
            path.parent.mkdir()
            path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
            paths.append(str(path))
        return {"KUBECONFIG": os.pathsep.join(paths), "HOME": str(tmp_path)}

    return write


def test_the_first_file_wins_whole():
    """Given two files that name the same user, when merged, then nothing of the second one's user is taken."""
    found = merge([config("a", token="first"), {**config("a", token="second"), "current-context": "b"}, config("b")])
    assert found["current-context"] == "a"
    assert found["users"]["a"] == {"token": "first"}
    assert set(found["contexts"]) == {"a", "b"}


def test_a_list_of_files_is_one_configuration(files):
    environment = files(a=config("a", namespace="ml"), b=config("b"))
    assert access(Flags(), environment).namespace == "ml"
    assert access(Flags(context="b"), environment) == Access({"server": "https://b.example"}, {}, "default")
    assert contexts(Flags(), environment) == ["a", "b"]


def test_a_file_that_is_missing_from_the_list_is_no_error(files):
    environment = files(a=config("a"))
    environment["KUBECONFIG"] = f"/nowhere/config{os.pathsep}{environment['KUBECONFIG']}"
    assert access(Flags(), environment).server == "https://a.example"


def test_the_file_of_the_home_directory_is_the_default(tmp_path):
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube/config").write_text(yaml.safe_dump(config("home")))
    assert access(Flags(), {"HOME": str(tmp_path)}).server == "https://home.example"


def test_flags_come_before_what_the_context_says(files):
    environment = files(a=config("a", namespace="ml", username="ann", password="x"), b=config("b"))
    found = access(
        Flags(
            cluster="b", namespace="other", token="t", insecure=True, impersonate="bob", impersonate_groups=("g", "h")
        ),
        environment,
    )
    assert found.server == "https://b.example"
    assert found.namespace == "other"
    assert found.cluster["insecure-skip-tls-verify"] is True
    assert found.user == {"token": "t", "as": "bob", "as-groups": ["g", "h"]}


def test_relative_paths_are_those_of_their_file(files, tmp_path):
    content = config("a", tokenFile="token")
    content["clusters"][0]["cluster"]["certificate-authority"] = "ca.pem"
    environment = files(a=content)
    found = access(Flags(), environment)
    assert found.user["tokenFile"] == str(tmp_path / "a/token")
    assert found.cluster["certificate-authority"] == str(tmp_path / "a/ca.pem")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (Flags(context="x"), "no context 'x'"),
        (Flags(cluster="x"), "no cluster 'x'"),
        (Flags(user="x"), "no user 'x'"),
        (Flags(kubeconfig="/nowhere/x"), "no such file"),
    ],
)
def test_what_is_not_there_is_named(files, flags, says):
    with pytest.raises(CliError, match=says):
        access(flags, files(a=config("a")))


def test_no_cluster_at_all_says_what_to_do(tmp_path):
    with pytest.raises(CliError, match="set KUBECONFIG"):
        access(Flags(), {"HOME": str(tmp_path)})


@pytest.mark.parametrize("text", ["a: [", "- 1", "users: [1]", "\x00"])
def test_a_broken_file_is_one_line(files, text):
    with pytest.raises(CliError, match="cannot be read as a kubeconfig") as caught:
        access(Flags(), files(a=text))
    assert "\n" not in caught.value.message


# --- credentials ------------------------------------------------------------------------------------------------------


def who(**user):
    return Credentials(Access({"server": "https://x"}, user))


def test_headers_say_who_asks():
    assert who(token="t").headers() == {"Authorization": "Bearer t"}
    basic = base64.b64encode(b"ann:pass").decode()
    assert who(username="ann", password="pass").headers() == {"Authorization": f"Basic {basic}"}
    asked = who(token="t", **{"as": "bob", "as-uid": "7", "as-groups": ["g", "h"], "as-user-extra": {"why": ["x"]}})
    assert asked.headers() == {"Authorization": "Bearer t", "Impersonate-User": "bob", "Impersonate-Uid": "7"}
    assert asked.groups() == [("Impersonate-Group", "g"), ("Impersonate-Group", "h"), ("Impersonate-Extra-why", "x")]


def test_a_token_file_is_read_each_time(tmp_path):
    """Given a token that is rotated, when asked again, then the new one is sent."""
    (tmp_path / "token").write_text("one\n")
    asked = who(tokenFile=str(tmp_path / "token"))
    assert asked.headers() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two")
    assert asked.headers() == {"Authorization": "Bearer two"}


@pytest.fixture
def plugin(tmp_path):
    """A credential plugin: it counts its calls and tells what it was asked."""

    def write(status, *, fails=False):
        path = tmp_path / "plugin"
        answer = json.dumps({"kind": "ExecCredential", "status": status})
        body = "exit 3" if fails else f"cat <<'X'\n{answer}\nX"
        path.write_text(f'#!/bin/sh\necho "$KUBERNETES_EXEC_INFO $MORE $1" >> {tmp_path}/calls\n{body}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(path),
            "args": ["login"],
            "env": [{"name": "MORE", "value": "more"}],
            "provideClusterInfo": True,
            "interactiveMode": "IfAvailable",
        }

    return write


def test_a_plugin_is_asked_once_and_again_after_it_was_refused(plugin, tmp_path):
    asked = who(exec=plugin({"token": "from-plugin"}))
    assert asked.headers() == asked.headers() == {"Authorization": "Bearer from-plugin"}
    asked.forget()
    asked.headers()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 2
    info, more, argument = calls[0].rsplit(" ", 2)
    assert (more, argument) == ("more", "login")
    assert json.loads(info)["spec"] == {"interactive": False, "cluster": {"server": "https://x"}}


def test_a_plugin_may_give_a_certificate(plugin):
    asked = who(exec=plugin({"clientCertificateData": "CERT", "clientKeyData": "KEY"}))
    assert asked.certificate() == ("CERT", "KEY")


def test_a_plugin_that_fails_is_one_line(plugin):
    with pytest.raises(CliError, match="failed"):
        who(exec=plugin({}, fails=True)).headers()
    with pytest.raises(CliError, match="not installed: get it from your admin"):
        who(exec={"command": "no-such-plugin", "installHint": "get it from your admin\n"}).headers()
    with pytest.raises(CliError, match="needs a terminal"):
        who(exec={"command": "x", "interactiveMode": "Always"}).headers()
    with pytest.raises(CliError, match="no ExecCredential"):
        who(exec={"command": "true"}).headers()


def test_certificates_come_from_data_or_files(tmp_path):
    (tmp_path / "key").write_text("KEY")
    data = base64.b64encode(b"CERT").decode()
    asked = who(**{"client-certificate-data": data, "client-key": str(tmp_path / "key")})
    assert asked.certificate() == ("CERT", "KEY")
    with pytest.raises(CliError, match="PEM"):
        who(**{"client-certificate-data": "%"}).certificate()
