"""The installed programs: what they import, how they end, what kubectl and shells ask them."""

import asyncio
import io
import os
import signal
import sys
from pathlib import Path

import pytest

from fairway.cli.program import main
from tests.fakes import scenes
from tests.fakes.served import Served

BIN = Path(sys.executable).parent
HEAVY = {"pydantic", "kubernetes", "httpx", "kopf", "aiohttp", "asyncio", "urllib3", "importlib.metadata"}


async def call(*command, **variables):
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def kubeconfig(tmp_path):
    async with Served() as served:
        await scenes.canary(served)
        path = tmp_path / "config"
        path.write_text(served.kubeconfig())
        yield str(path)


@pytest.mark.parametrize(
    "words",
    [["status", "churn"], ["list"], ["promote", "churn"], ["why", "churn"], ["wait", "churn", "--for", "ready"]],
)
async def test_what_is_slow_to_import_is_not_imported(kubeconfig, words):
    """Given a verb that looks or steers, when run, then the program has started without any large library."""
    start = f"import sys; from fairway.__main__ import main; code = main({words!r})"
    script = f"{start}; print(*sys.modules, file=sys.stderr); sys.exit(code)"
    code, out, err = await call(sys.executable, "-c", script, KUBECONFIG=kubeconfig)
    assert code == 0, err
    assert out
    assert {module for module in err.split() if module in HEAVY} == set()


@pytest.mark.parametrize("name", ["fairway", "kubectl-fairway"])
async def test_both_programs_are_the_same(kubeconfig, name):
    code, out, _ = await call(str(BIN / name), "list", "-o", "name", KUBECONFIG=kubeconfig)
    assert (code, out) == (0, "modeldeployment.fairway.dev/churn\n")
    _, shown, _ = await call(str(BIN / name), "promote", "--help")
    assert f"{name.replace('-', ' ')} promote churn --full" in shown


async def test_the_operators_side_is_still_there(tmp_path):
    for verb in ("run", "crds", "fetch"):
        code, out, _ = await call(str(BIN / "fairway"), verb, "--help")
        assert (code, f"fairway {verb}" in out) == (0, True)
    code, _, err = await call(str(BIN / "fairway"), "run", "--config", str(tmp_path / "nothing"))
    assert (code, "No such file" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sta"], "status"),
        (["status", ""], "churn"),
        (["status", "ch"], "churn"),
        (["why", "churn", "1.1"], "1.1.0"),
        (["logs", "churn", "st"], "stable"),
        (["--context", ""], "dev"),
        (["promote", "churn", "--f"], "--full"),
    ],
)
async def test_kubectl_is_told_what_exists(kubeconfig, words, expected):
    code, out, err = await call(str(BIN / "kubectl_complete-fairway"), *words, KUBECONFIG=kubeconfig)
    assert (code, err) == (0, "")
    *found, directive = out.splitlines()
    assert expected in found
    assert directive == ":4"


@pytest.mark.parametrize(
    ("words", "directive"),
    [
        (["lint", "-f", "ch"], ":0"),
        (["plan", "--filename", ""], ":0"),
        (["--kubeconfig", ""], ":0"),
        (["backtest", "-f", ""], ":0"),
        (["backtest", "--ca-file", ""], ":0"),
        (["logs", "churn", "-f", ""], ":4"),
        (["lint", "-f", "churn.yaml", "--off"], ":4"),
    ],
)
async def test_files_are_completed_where_a_file_is_meant(kubeconfig, words, directive):
    _, out, _ = await call(str(BIN / "kubectl_complete-fairway"), *words, KUBECONFIG=kubeconfig)
    assert out.splitlines()[-1] == directive


async def test_completion_without_a_cluster_is_silent():
    code, out, err = await call(
        str(BIN / "kubectl_complete-fairway"), "status", "", KUBECONFIG="/nowhere", HOME="/nowhere"
    )
    assert (code, out.splitlines(), err) == (0, [":4"], "")


async def test_bash_completes_names(kubeconfig):
    """Given bash with what `completion bash` prints, when a name is asked for, then it is the one in the cluster."""
    _, code, _ = await call(str(BIN / "fairway"), "completion", "bash")
    line = 'COMP_LINE="fairway status c"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_CWORD=2'
    asked = (
        f'PATH={BIN}:$PATH; eval "$FAIRWAY_COMPLETION"; {line}; COMP_WORDS=(fairway status c); '
        '_python_argcomplete fairway c status; echo "${COMPREPLY[@]}"'
    )
    _, out, err = await call("bash", "-c", asked, KUBECONFIG=kubeconfig, FAIRWAY_COMPLETION=code)
    assert out.split() == ["churn"], err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sttus", "churn"], "invalid choice: 'sttus'"),
        (["status"], "the following arguments are required: NAME"),
        (["status", "churn", "--nope"], "unrecognized arguments: --nope"),
        (["list", "-o", "xml"], "invalid choice: 'xml'"),
        (["status", "churn", "-w", "-o", "json"], "argument -o/--output: not allowed with argument -w/--watch"),
        (["events", "churn", "-o", "json", "-w"], "argument -w/--watch: not allowed with argument -o/--output"),
        (["backtest", "-f", "x"], "the following arguments are required: --prometheus, --from, --candidate"),
        (["status", ""], "'' is not the name of a ModelDeployment"),
        (["status", "my model"], "'my model' is not the name of a ModelDeployment"),
        (["abort", "churn/scale"], "'churn/scale' is not the name of a ModelDeployment"),
        (["abort", "pod/churn"], "'pod/churn' is not the name of a ModelDeployment"),
    ],
)
def test_a_usage_error_is_one_line(capsys, words, says):
    with pytest.raises(SystemExit) as ended:
        main(words, prog="fairway")
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("more", [[], ["-v"]])
def test_what_nobody_has_foreseen_is_one_line(capsys, more):
    """Given a program with a mistake in it, when it is run, then one line says so, and -v shows where."""

    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise ZeroDivisionError("by\nchance")

    code = main(["version", *more], prog="fairway", out=Broken())
    assert code == 1
    error = capsys.readouterr().err.splitlines()
    assert error[-1] == "fairway: ZeroDivisionError: by chance; -v shows where"
    assert ("Traceback (most recent call last):" in error) == bool(more)
    assert len(error) == 1 or more


def test_without_a_verb_the_help_is_shown(capsys):
    assert main([], prog="fairway") == 2
    assert "See:" in capsys.readouterr().out


async def test_a_reader_that_has_seen_enough_is_no_error(kubeconfig):
    code, out, err = await call(
        "bash",
        "-o",
        "pipefail",
        "-c",
        f"{BIN}/fairway status churn -o yaml | head -n 1; exit ${{PIPESTATUS[0]}}",
        KUBECONFIG=kubeconfig,
    )
    assert (code, out, err) == (0, "apiVersion: fairway.dev/v1alpha1\n", "")


async def test_an_interrupt_ends_a_watch_with_its_own_code(kubeconfig):
    process = await asyncio.create_subprocess_exec(
        str(BIN / "fairway"), "status", "churn", "-w", env=os.environ | {"KUBECONFIG": kubeconfig},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        # Whoever runs the tests in the background may have had interrupts ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
