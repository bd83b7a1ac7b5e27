"""GitOps: what Git says and what is live never differ, and Argo CD is told the truth at every moment."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.argocd import oracle
from tests.e2e.harness import Namespace, condition
from tests.e2e.programs import kubectl
from tests.e2e.specs import ONE, standin

pytestmark = pytest.mark.e2e

CLIENT: tuple[str, ...] = ()
SERVER = ("--server-side",)
STEPS = [{"weight": 20, "for": "4s"}, {"approval": "risk-review"}, {"weight": 50, "for": "4s"}]

ARGOCD = ("--as=argocd", "--as-group=system:masters")
"""Approvals name who gives them, and a policy holds them to it: here Argo CD is that user."""


@dataclass
class Repository:
    """What Git has; applied and compared the way a GitOps tool does."""

    ns: Namespace
    flags: tuple[str, ...]
    text: str = ""
    diffs: list[str] = field(default_factory=list)
    looks: int = 0
    moments: list[dict[str, Any]] = field(default_factory=list)

    async def push(self, version: str, **more: Any) -> None:
        """Commit a version and apply it."""
        rollout = {"steps": STEPS, "watch": {"for": "5s"}}
        spec = standin(version, **{**ONE, "traffic": {"hostnames": [self.ns.host]}, "rollout": rollout, **more})
        manifest = {
            "apiVersion": "fairway.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": "churn", "namespace": self.ns.name, "labels": {"team": "risk"}},
            "spec": spec,
        }
        text = json.dumps(manifest)
        self.text = ""  # while it is being applied, neither the old nor the new one is what Git has
        await kubectl("apply", *self.flags, "-f", "-", stdin=text)
        self.text = text

    async def look(self) -> None:
        """Compare once, and remember what Argo CD would see."""
        asked = self.text
        if not asked:
            await asyncio.sleep(0.1)
            return
        said = await kubectl("diff", *self.flags, "-f", "-", stdin=asked, check=False)
        # kubectl reads twice: when the status was written in between, it compares two moments, and says so.
        torn = "\n+  resourceVersion: " in said
        if asked == self.text and said.strip() and not torn:
            self.diffs.append(said)
        self.moments.append(await self.ns.get("modeldeployment"))
        self.looks += not torn

    @contextlib.asynccontextmanager
    async def compared(self) -> AsyncIterator[None]:
        """Compare without a pause for as long as it takes."""

        async def compare() -> None:
            while True:
                await self.look()

        task = asyncio.create_task(compare())
        try:
            yield
        finally:
            task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


@pytest.mark.long
@pytest.mark.parametrize("flags", [CLIENT, SERVER], ids=["client-side", "server-side"])
async def test_s44_git_and_the_cluster_never_differ(ns: Namespace, flags: tuple[str, ...]) -> None:
    """Given a version from Git, when it is replaced, approved, aborted, then a diff is empty at every moment."""
    git = Repository(ns, flags)
    await git.push("1.0.0")
    await ns.healthy("1.0.0")
    await git.look()
    async with git.compared():
        await git.push("1.1.0")
        status = await ns.until("the gate", lambda s: condition(s, "Paused") == ("True", "ApprovalNeeded"))
        await git.look()
        run = status["run"]["id"]
        word = f"fairway.dev/approve={run}/risk-review by argocd: fine"
        await kubectl(*ARGOCD, "-n", ns.name, "annotate", "--overwrite", "md", "churn", word)
        await ns.healthy("1.1.0")
        await git.push("1.2.0")
        status = await ns.until("the gate", lambda s: condition(s, "Paused") == ("True", "ApprovalNeeded"))
        abort = f"fairway.dev/abort={status['run']['id']}"
        await kubectl("-n", ns.name, "annotate", "--overwrite", "md", "churn", abort)
        await ns.until("aborted", lambda s: s["phase"] == "RolledBack")
        await git.look()
    assert git.diffs == []
    assert git.looks > 5
    assert_told_truly(git.moments)


def assert_told_truly(moments: list[dict[str, Any]]) -> None:
    """Argo CD calls nothing Healthy that is not what was asked for, and nothing else once it is."""
    for moment, told in zip(moments, oracle.health(moments), strict=True):
        status = moment.get("status", {})
        read = status.get("observedGeneration") == moment["metadata"]["generation"]
        there = read and condition(status, "UpToDate") == ("True", "Promoted") and not status.get("run")
        assert (told == "Healthy") is there, (told, status.get("phase"))
    assert {"Progressing", "Suspended", "Healthy", "Degraded"} <= set(oracle.health(moments))


async def test_s44_an_action_of_argocd_is_taken_and_is_no_drift(ns: Namespace) -> None:
    """Given a gate, when Argo CD's own actions are run on the live object, then they act and Git stays as it is."""
    git = Repository(ns, CLIENT)
    await git.push("1.0.0")
    await ns.healthy("1.0.0")
    await git.push("1.1.0")
    await ns.until("the gate", lambda s: condition(s, "Paused") == ("True", "ApprovalNeeded"))
    await press(ns, "approve")
    status = await ns.healthy("1.1.0")
    assert status["history"][0]["approvals"][0]["by"] == "argocd"
    await press(ns, "rollback")
    await ns.until("taken back", lambda s: s["phase"] == "RolledBack")
    await git.look()
    assert git.diffs == []


async def press(ns: Namespace, action: str) -> None:
    """Do what Argo CD's server does: run the Lua on the live object and send the difference as a merge patch."""
    live = await ns.get("modeldeployment")
    assert oracle.offered(live)[action]
    annotations = oracle.run(action, live)["metadata"]["annotations"]
    patch = json.dumps({"metadata": {"annotations": {f"fairway.dev/{action}": annotations[f"fairway.dev/{action}"]}}})
    await kubectl(*ARGOCD, "-n", ns.name, "patch", "md", "churn", "--type=merge", "-p", patch)
