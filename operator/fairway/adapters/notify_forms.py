"""What a notification looks like on the wire: CloudEvents 1.0 for machines, Slack's markup for people."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from fairway.api import GROUP, VERSION

Form = Literal["CloudEvents", "Slack"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened to a ModelDeployment, and the status that it left."""

    id: str
    at: float
    """Epoch seconds."""
    namespace: str
    name: str
    uid: str
    reason: str
    warning: bool
    message: str
    status: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """A form on the wire."""

    content_type: str
    body: Callable[[Notice], bytes]


def cloud_event(notice: Notice) -> bytes:
    """Return a CloudEvent in structured mode.

    Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
    """
    about = f"/apis/{GROUP}/{VERSION}/namespaces/{notice.namespace}/modeldeployments/{notice.name}"
    event = {
        "specversion": "1.0",
        "id": notice.id,
        "source": about,
        "type": f"dev.fairway.modeldeployment.{notice.reason}",
        "subject": f"{notice.namespace}/{notice.name}",
        "time": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "namespace": notice.namespace,
            "name": notice.name,
            "uid": notice.uid,
            "reason": notice.reason,
            "warning": notice.warning,
            "message": notice.message,
            **_facts(notice.status),
        },
    }
    return _json(event)


def slack(notice: Notice) -> bytes:
    """Return a message for an incoming webhook of Slack, or of what understands the same."""
    mark = ":warning:" if notice.warning else ":ship:"
    head = f"{mark} *{_escaped(notice.namespace)}/{_escaped(notice.name)}* {notice.reason}"
    return _json({"text": f"{head}\n{_escaped(notice.message)}"})


FORMS: dict[Form, Shape] = {
    "CloudEvents": Shape("application/cloudevents+json; charset=utf-8", cloud_event),
    "Slack": Shape("application/json; charset=utf-8", slack),
}


def _facts(status: dict[str, Any]) -> dict[str, Any]:
    """Return what a receiver would otherwise have to ask the API server for."""
    run = status.get("run")
    facts = {
        "phase": status.get("phase"),
        "url": status.get("url"),
        "stable": _track(status.get("stable")),
        "candidate": _track(status.get("candidate")),
        "run": run and {key: run[key] for key in ("id", "step", "steps", "progress") if key in run},
        "verdict": status.get("verdict"),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _track(track: dict[str, Any] | None) -> dict[str, Any] | None:
    return track and {key: track[key] for key in ("revision", "version", "weight", "replicas", "ready") if key in track}


def _escaped(text: str) -> str:
    """Escape what Slack takes for markup. Source: https://docs.slack.dev/messaging/formatting-message-text/."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
