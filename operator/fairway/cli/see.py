"""``status``: what serves, what is tried, and why nothing moves."""

from fairway.cli.client import Manifest
from fairway.cli.errors import Exit
from fairway.cli.output import printed
from fairway.cli.session import Options, Session, core_path, group_path
from fairway.cli.view import View, view
from fairway.core import names

ROUTES = "gateway.networking.k8s.io/v1"


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
    return view(model, pods_of(session, model), route_of(session, model))


def pods_of(session: Session, model: Manifest) -> list[Manifest] | None:
    """Return the pods of all its revisions; None where we may not list pods."""
    meta = model["metadata"]
    return session.try_list(core_path(meta["namespace"], "pods"), labelSelector=f"{names.OWNER}={meta['uid']}")


def route_of(session: Session, model: Manifest) -> Manifest | None:
    """Return its HTTPRoute, if it has one and we may read it."""
    meta, status = model["metadata"], model.get("status") or {}
    if (status.get("effective") or {}).get("router") != "Gateway":
        return None
    return session.try_get(group_path(ROUTES, meta["namespace"], "httproutes", meta["name"]))


def show(session: Session, shown: View) -> None:
    """Print the tree."""
    from fairway.cli.draw import draw  # noqa: PLC0415  after the requests, which may fail

    session.lines(draw(shown, session.console, session.now()))
