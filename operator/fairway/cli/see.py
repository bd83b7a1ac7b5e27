"""``status``: what serves, what is tried, and why nothing moves."""

from collections.abc import Iterator
from dataclasses import replace

from fairway.cli.client import Manifest
from fairway.cli.errors import Exit
from fairway.cli.output import printed
from fairway.cli.rights import Right
from fairway.cli.session import Options, Session, core_path, group_path
from fairway.cli.view import View, view
from fairway.core import names

ROUTE_GROUP = "gateway.networking.k8s.io"


def run(session: Session, options: Options) -> int:
    """Show one ModelDeployment."""
    if options.watch:
        from fairway.cli import live  # noqa: PLC0415  not needed for one look

        return live.run(session, options.name)
    model = session.model(options.name)
    if options.output:
        return printed(session, model, options.output)
    show(session, look(session, model))
    return Exit.DONE


def look(session: Session, model: Manifest) -> View:
    """Read what belongs to a ModelDeployment, as far as we may, and build its view."""
    pods, route = pods_of(session, model), route_of(session, model)
    return replace(view(model, pods, route), missing=tuple(_missing(session, model)))


def _missing(session: Session, model: Manifest) -> Iterator[str]:
    """Name the rights without which something is not shown."""
    namespace = model["metadata"]["namespace"]
    for path, what, right in (
        (_pods_path(model), "pods are not shown", Right("list", "pods", "", namespace)),
        (_route_path(model), "what is served is not shown", Right("get", "httproutes", ROUTE_GROUP, namespace)),
    ):
        if path in session.refused:
            yield f"{what}: you may not {right}"


def pods_of(session: Session, model: Manifest) -> list[Manifest] | None:
    """Return the pods of all its revisions; None where we may not list pods."""
    return session.try_list(_pods_path(model), labelSelector=f"{names.OWNER}={model['metadata']['uid']}")


def route_of(session: Session, model: Manifest) -> Manifest | None:
    """Return its HTTPRoute, if it has one and we may read it."""
    if ((model.get("status") or {}).get("effective") or {}).get("router") != "Gateway":
        return None
    return session.try_get(_route_path(model))


def _pods_path(model: Manifest) -> str:
    return core_path(model["metadata"]["namespace"], "pods")


def _route_path(model: Manifest) -> str:
    meta = model["metadata"]
    return group_path(f"{ROUTE_GROUP}/v1", meta["namespace"], "httproutes", meta["name"])


def show(session: Session, shown: View) -> None:
    """Print the tree."""
    from fairway.cli.draw import draw  # noqa: PLC0415  after the requests, which may fail

    session.lines(draw(shown, session.console, session.now()))
