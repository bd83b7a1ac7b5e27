"""Which revision a spec asks for: one that is recorded, or a new one."""

from collections.abc import Mapping

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import Status
from fairway.core.build.common import Owner
from fairway.core.build.deployment import pod_template
from fairway.core.build.model import Place
from fairway.core.revision import Record, intent, lineage, resolve, revision


def find_record(spec: ModelDeploymentSpec, name: str, status: Status, records: Mapping[str, Record]) -> Record | None:
    """Return the recorded revision of this intent; what is current comes before what is only remembered."""
    asked = intent(spec, name)
    chosen = [status.chosen] if status.chosen else []
    current = [*chosen, *(track.revision for track in (status.candidate, status.stable) if track)]
    remembered = [entry.revision for entry in status.history]
    order = dict.fromkeys([*current, *remembered, *records])
    return next((records[rev] for rev in order if rev in records and records[rev].intent == asked), None)


def make_record(
    owner: Owner, spec: ModelDeploymentSpec, runtime: ModelRuntimeSpec | None, fetch_image: str = ""
) -> Record:
    """Render a new revision. Raises Unresolved when image or port are missing, or what the model is fetched with."""
    asked = intent(spec, owner.name)
    server = resolve(spec, runtime)
    name = revision(asked, runtime)
    place = Place(runtime.model_mount_path if runtime else None, fetch_image)
    return Record(
        revision=name,
        intent=asked,
        version=spec.model.version,
        template=pod_template(owner, spec, name, server, place),
        image=server.image,
        port=server.port,
        series=server.series,
        lineage=lineage(spec),
    )
