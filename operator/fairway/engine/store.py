"""What the watches have seen, by owner. Small on purpose: only what decisions read is kept."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from fairway.core import names
from fairway.core.commands import writers
from fairway.core.verdict import Key
from fairway.ports import Manifest

MODEL, RUNTIME, GATEWAY = "ModelDeployment", "ModelRuntime", "Gateway"
MOST_GONE = 10_000
_Name = tuple[str, str, str]
_SPEC_OF_POD = ("nodeName",)


class MemoryStore:
    """Implements the Store port in memory. Every object is replaced only by a newer one."""

    def __init__(self) -> None:
        self._models: dict[Key, Manifest] = {}
        self._runtimes: dict[str, Manifest] = {}
        self._gateways: dict[Key, Manifest] = {}
        self._children: dict[str, dict[_Name, Manifest]] = {}
        self._owners: dict[str, Key] = {}
        self._gone: dict[str, float] = {}
        """By UID the version from which on an object is alive all the same."""
        self._fresh: dict[str, int] = {}
        self._absent: set[str] = set()
        self._clock = 0

    def deployment_of_model(self, key: Key) -> Manifest | None:
        """Return the ModelDeployment itself."""
        return self._models.get(key)

    def models(self) -> list[Key]:
        """Return every known ModelDeployment."""
        return list(self._models)

    def children(self, owner_uid: str) -> Sequence[Manifest]:
        """Return every object that carries the owner's UID label, pods included."""
        return list(self._children.get(owner_uid, {}).values())

    def runtimes(self) -> dict[str, Manifest]:
        """Return every ModelRuntime by name."""
        return dict(self._runtimes)

    def gateway(self, namespace: str, name: str) -> Manifest | None:
        """Return a Gateway."""
        return self._gateways.get((namespace, name))

    def all_models(self) -> list[Manifest]:
        """Return every ModelDeployment."""
        return list(self._models.values())

    def serves(self, kind: str) -> bool:
        """Return whether the API server knows this kind, as far as was seen."""
        return kind not in self._absent

    def found(self, kind: str, *, there: bool) -> None:
        """Remember whether the API server knows this kind."""
        (self._absent.discard if there else self._absent.add)(kind)

    def owner(self, manifest: Manifest) -> Key | None:
        """Return the ModelDeployment that an object belongs to, itself included."""
        if manifest["kind"] == MODEL:
            return _key(manifest)
        return self._owners.get(_owner_uid(manifest) or "")

    def put(self, manifest: Manifest) -> None:
        """Remember an object unless a newer one is known, or it is gone."""
        slim = _slim(manifest)
        shelf, name = self._shelf(slim)
        if shelf is None or _version(slim) < self._gone.get(_uid(slim), -1):
            return
        self._gone.pop(_uid(slim), None)
        known = shelf.get(name)
        if known is not None and _version(known) > _version(slim):
            return
        shelf[name] = slim
        self._clock += 1
        self._fresh[_uid(slim)] = self._clock
        if slim["kind"] == MODEL:
            self._owners[_uid(slim)] = _key(slim)

    def drop(self, manifest: Manifest) -> None:
        """Forget an object for good: its UID never comes back. A successor of the same name stays."""
        self._forget(manifest, math.inf)

    def lose(self, manifest: Manifest) -> None:
        """Forget an object that a watch says is gone, which it also says of one that has lost our label.

        Both carry the version of that moment. One that is deleted never has a later one; one that has lost its label
        is known again as soon as it is seen as it then was, or newer.
        """
        told = _version(manifest)
        shelf, name = self._shelf(manifest)
        known = shelf.get(name) if shelf else None
        if known is None or _uid(known) != _uid(manifest) or _version(known) <= told:
            self._forget(manifest, told or math.inf)

    def _forget(self, manifest: Manifest, alive_from: float) -> None:
        shelf, name = self._shelf(manifest)
        uid = _uid(manifest)
        self._gone[uid] = max(alive_from, self._gone.get(uid, 0))
        self._fresh.pop(uid, None)
        while len(self._gone) > MOST_GONE:
            del self._gone[next(iter(self._gone))]
        if shelf is None or name not in shelf or _uid(shelf[name]) != uid:
            return
        del shelf[name]
        if manifest["kind"] == MODEL:
            self._owners.pop(uid, None)
        self._children = {uid: shelf for uid, shelf in self._children.items() if shelf}

    def mark(self) -> int:
        """Return a point in time to give to ``replace``: what is put after it is newer than the list."""
        return self._clock

    def replace(
        self, kind: str, listed: Iterable[Manifest], namespace: str | None = None, since: int | None = None
    ) -> list[Manifest]:
        """Make one kind equal to a complete list that was asked for at ``since``; return what had vanished unseen."""
        known_by = self._clock if since is None else since
        fresh = list(listed)
        alive = {_uid(manifest) for manifest in fresh}
        gone = [
            m
            for m in self._of(kind)
            if _uid(m) not in alive
            and namespace in (None, m["metadata"]["namespace"])
            and self._fresh.get(_uid(m), 0) <= known_by
        ]
        for manifest in gone:
            self._forget(manifest, _version(manifest) + 1)  # a change that took our label has made it newer
        for manifest in fresh:
            self.put(manifest)
        return gone

    def _of(self, kind: str) -> list[Manifest]:
        if kind == MODEL:
            return list(self._models.values())
        if kind == RUNTIME:
            return list(self._runtimes.values())
        if kind == GATEWAY:
            return list(self._gateways.values())
        return [child for shelf in self._children.values() for child in shelf.values() if child["kind"] == kind]

    def _shelf(self, manifest: Manifest) -> tuple[dict[Any, Manifest] | None, Any]:
        meta = manifest["metadata"]
        if manifest["kind"] == MODEL:
            return self._models, _key(manifest)
        if manifest["kind"] == RUNTIME:
            return self._runtimes, meta["name"]
        if manifest["kind"] == GATEWAY:
            return self._gateways, _key(manifest)
        uid = _owner_uid(manifest)
        if uid is None:
            return None, None
        return self._children.setdefault(uid, {}), (manifest["kind"], meta["namespace"], meta["name"])


def _slim(manifest: Manifest) -> Manifest:
    """Drop what nothing reads; of managedFields keep whether our create still owns fields, and who gave commands."""
    meta = dict(manifest["metadata"])
    managed = meta.pop("managedFields", None)
    if managed is not None and manifest["kind"] == MODEL:
        meta["commanded-by"] = writers(managed)
    elif managed is not None:
        meta["created-fields"] = any(
            entry.get("manager") == names.MANAGER
            and entry.get("operation") == "Update"
            and not entry.get("subresource")
            for entry in managed
        )
    slim = {**manifest, "metadata": meta}
    if manifest["kind"] == "Pod":
        slim["spec"] = {name: value for name, value in manifest.get("spec", {}).items() if name in _SPEC_OF_POD}
    return slim


def _key(manifest: Manifest) -> Key:
    return manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("uid", ""))


def _owner_uid(manifest: Manifest) -> str | None:
    uid = manifest["metadata"].get("labels", {}).get(names.OWNER)
    return str(uid) if uid else None


def _version(manifest: Manifest) -> int:
    text = manifest["metadata"].get("resourceVersion", "0")
    return int(text) if text.isdigit() else 0
