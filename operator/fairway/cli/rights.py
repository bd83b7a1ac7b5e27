"""Who we are to the API server, and which right is missing when it refuses."""

from dataclasses import dataclass

from fairway.cli.client import Client, Manifest
from fairway.cli.errors import ApiError, CliError

FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Right:
    """One right, as RBAC names it."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """Write the right as people ask for it."""
        what = (
            self.resource + (f".{self.group}" if self.group else "") + (f"/{self.subresource}" * bool(self.subresource))
        )
        where = f" in namespace {self.namespace}" if self.namespace else " in the whole cluster"
        return f"{self.verb} {what}{where}"

    def review(self) -> Manifest:
        """Return the question whether we have it."""
        attributes = {
            "verb": self.verb,
            "resource": self.resource,
            "group": self.group,
            "namespace": self.namespace,
            "subresource": self.subresource,
        }
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        }


@dataclass(frozen=True, slots=True)
class Person:
    """Who the API server takes us for."""

    name: str
    groups: tuple[str, ...] = ()


def may(client: Client, right: Right) -> bool:
    """Whether we have a right. Raises CliError when nobody answers."""
    answer = client.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", right.review())
    return bool(answer.get("status", {}).get("allowed"))


def explain(client: Client, error: ApiError, right: Right) -> CliError:
    """Name the missing right where a request was forbidden for want of it; else return the error as it is."""
    if error.status != FORBIDDEN:
        return error
    try:
        missing = not may(client, right)
    except CliError:
        missing = True
    if missing:
        return CliError(f"you may not {right}: ask for that right")
    return CliError(f"refused by the API server, although you may {right}: {error.message}")


def whoami(client: Client) -> Person:
    """Ask who we are: the name that approvals are recorded under."""
    body: Manifest = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        found = client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    except ApiError as error:
        raise CliError(f"the API server does not say who you are: {error.message}") from None
    info = found.get("status", {}).get("userInfo", {})
    return Person(str(info.get("username", "")), tuple(info.get("groups") or ()))
