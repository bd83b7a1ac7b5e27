"""The operator's own configuration: one file, checked as a whole."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import ConfigDict, Field, field_validator, model_validator

from fairway.api.spec import GatewayRef
from fairway.api.types import Api, Duration, Port


class PrometheusSettings(Api):
    """The metrics provider. Only admins name addresses; a ModelDeployment never does."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(pattern=r"^https?://[^\s@]+$")
    scrape_interval: Duration | None = None
    bearer_token_file: str | None = None
    ca_file: str | None = None
    headers: dict[str, str] | None = None


Form = Literal["CloudEvents", "Slack"]


class LeaseSettings(Api):
    """Leader election."""

    name: str = "fairway"
    duration: Annotated[Duration, Field(ge=3)] = 15.0


class NotificationSettings(Api):
    """One receiver of webhooks. Exactly one of url and urlFile; no events or namespaces mean all."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    url: str | None = Field(None, pattern=r"^https?://[^\s@]+$")
    url_file: Annotated[str, Field(pattern="^/")] | None = None
    format: Form = "CloudEvents"
    signing_key_file: Annotated[str, Field(pattern="^/")] | None = None
    ca_file: Annotated[str, Field(pattern="^/")] | None = None
    events: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]{2,60}$")], ...], Field(max_length=50)] = ()
    namespaces: Annotated[tuple[str, ...], Field(max_length=200)] = ()

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give exactly one of url and urlFile")
        return self


class Settings(Api):
    """Everything that can be configured."""

    model_config = ConfigDict(hide_input_in_errors=True)

    namespaces: tuple[str, ...] = ()
    gateway: GatewayRef | None = None
    prometheus: PrometheusSettings | None = None
    settle: Annotated[Duration, Field(ge=0, le=300, allow_inf_nan=False)] = 3.0
    scale_down_delay: Annotated[Duration, Field(ge=0, le=3600, allow_inf_nan=False)] = 30.0
    lease: LeaseSettings = LeaseSettings()
    fetch_image: str = Field(default_factory=lambda: os.environ.get("FETCH_IMAGE", ""))
    approvals_verified: bool = False
    """An admission policy has compared the names in approvals with the requesters."""
    port: Port = 8080
    notifications: Annotated[tuple[NotificationSettings, ...], Field(max_length=20)] = ()
    workers: int = Field(4, ge=1, le=64)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    pod_name: str = Field(default_factory=lambda: os.environ.get("POD_NAME", f"local-{os.getpid()}"))
    pod_namespace: str = Field(default_factory=lambda: os.environ.get("POD_NAMESPACE", "default"))

    @field_validator("notifications")
    @classmethod
    def _different_names(cls, given: tuple[NotificationSettings, ...]) -> tuple[NotificationSettings, ...]:
        names = [each.name for each in given]
        if len(set(names)) < len(names):
            raise ValueError("two notifications have the same name")
        return given


def load(path: Path | None) -> Settings:
    """Read the configuration file. Raises ValueError with the field's path."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path else {}
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from None
    return Settings.model_validate(content or {})
