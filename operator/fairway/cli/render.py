"""``render``: the objects that the operator would write for a file, as its pass would compute them."""

from fairway.cli.client import Manifest
from fairway.cli.errors import Exit
from fairway.cli.foresight import FETCH_IMAGE, OPERATOR, Foreseen, foretold, without_gateway_guess
from fairway.cli.output import dump
from fairway.cli.session import Options, Session
from fairway.cli.words import dig
from fairway.core.desired import desired


def run(session: Session, options: Options) -> int:
    """Print every object of every ModelDeployment in the files."""
    cluster, all_foreseen = foretold(session, options)
    objects: list[Manifest] = []
    for foreseen in all_foreseen:
        if without_gateway_guess(foreseen) is not foreseen:
            session.note(
                f"note: {foreseen.document.name}: the route is left out: give --gateway, as we may not know the default"
            )
        objects += rendered(without_gateway_guess(foreseen))
    if cluster.reached and cluster.records is None:
        session.note("note: revisions that exist are left out: you may not list controllerrevisions")
    if not cluster.fetch_image and any(FETCH_IMAGE in _fetching(each) for each in objects):
        why = "" if options.offline else f", as no Deployment of the operator in {OPERATOR} could be read"
        session.note(f"note: {FETCH_IMAGE!r} stands for the image that fetches the model: it is not known{why}")
    if options.output == "json":
        session.say(dump({"apiVersion": "v1", "kind": "List", "items": objects}, "json"))
    else:
        session.say("\n---\n".join(dump(each, "yaml") for each in objects))
    return Exit.DONE


def _fetching(manifest: Manifest) -> list[str]:
    """Return the images of a Deployment's init containers."""
    return [str(each.get("image")) for each in dig(manifest, "spec.template.spec.initContainers") or ()]


def rendered(foreseen: Foreseen) -> list[Manifest]:
    """Return the objects as they are when the run begins; a Deployment has the size that it starts with."""
    gathered = foreseen.gathered
    children = desired(
        gathered.owner, foreseen.spec, foreseen.after, gathered.situation.observed.records, gathered.routing
    )
    objects = []
    for child in children:
        manifest = dict(child.manifest)
        if child.initial_replicas is not None:
            manifest["spec"] = {"replicas": child.initial_replicas, **manifest["spec"]}
        objects.append(manifest)
    return objects
