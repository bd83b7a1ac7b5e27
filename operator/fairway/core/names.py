"""Names and labels of everything that belongs to a ModelDeployment."""

from fairway.api import GROUP

MANAGER = "fairway"
REPLICAS_MANAGER = "fairway-replicas"

MANAGED_BY = "app.kubernetes.io/managed-by"
NAME = f"{GROUP}/name"
OWNER = f"{GROUP}/owner-uid"
REVISION = f"{GROUP}/revision"
VERSION = f"{GROUP}/version"
INTENT = f"{GROUP}/intent"
APPLIED = f"{GROUP}/applied"
RESTARTED_AT = f"{GROUP}/restarted-at"
SCRAPE_PORT = f"{GROUP}/scrape-port"
SCRAPE_PATH = f"{GROUP}/scrape-path"

SERVICE_PORT = 80


def child(model: str, revision: str) -> str:
    """Name of a revision's children: at most 51 characters, since a ModelDeployment's name has at most 40."""
    return f"{model}-{revision}"


def label_value(version: str) -> str:
    """Return a version as a label value: semver's ``+`` is not allowed there."""
    return version.replace("+", "_")[:63].rstrip("-_.")
