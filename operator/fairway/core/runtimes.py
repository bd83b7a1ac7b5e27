"""Which ModelRuntime serves a spec: the one it names, or the one that takes its format."""

from collections.abc import Mapping

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.core.errors import Unresolved


def choose(
    spec: ModelDeploymentSpec, runtimes: Mapping[str, ModelRuntimeSpec], unreadable: Mapping[str, str] | None = None
) -> tuple[str, ModelRuntimeSpec] | None:
    """Return name and content of the runtime, None where the spec brings its own image. Raises Unresolved.

    ``unreadable`` ones have a reason for a content: they are nobody's trouble but of who names them.
    """
    name = spec.runtime.name
    if name is not None:
        if name in (unreadable or {}):
            why = (unreadable or {})[name]
            raise Unresolved("RuntimeInvalid", f"spec.runtime.name: the ModelRuntime {name!r} cannot be read: {why}")
        if name not in runtimes:
            raise Unresolved("RuntimeNotFound", f"spec.runtime.name: there is no ModelRuntime {name!r}")
        return name, runtimes[name]
    wanted = spec.model.format
    if spec.runtime.image is not None or wanted is None:
        return None
    fitting = sorted(
        (taken.version is None, name)
        for name, runtime in runtimes.items()
        for taken in runtime.formats or ()
        if taken.name == wanted.name and taken.version in (None, wanted.version)
    )
    if not fitting:
        asked = f"{wanted.name} {wanted.version}" if wanted.version else wanted.name
        raise Unresolved(
            "RuntimeNotFound", f"spec.model.format: no ModelRuntime takes {asked}; name one in runtime.name"
        )
    chosen = fitting[0][1]
    return chosen, runtimes[chosen]
