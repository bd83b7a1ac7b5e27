"""The operator's own configuration: one file, checked as a whole."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import ConfigDict, Field, field_validator, model_validator

from fairway.api.runtime import LabelName
from fairway.api.spec import NO_VARIABLE, QUERY, GatewayRef
from fairway.api.types import Api, Duration, Name, Port, PositiveDuration, require_distinct
from fairway.core.providers import Provider

DEFAULT = "default"
"""Name of the provider that is set as ``prometheus``."""


class BasicAuth(Api):
    """User and password; the password is in a file, which is read again for each query."""

    username: str = Field(min_length=1, max_length=256, pattern=r"^[^:\x00-\x1f]+$")
    password_file: str


class QueryTemplate(Api):
    """PromQL of the admin's, which a ModelDeployment names in an objective's ``template``."""

    name: Name
    promql: str = Field(min_length=1, max_length=8192)

    @field_validator("promql")
    @classmethod
    def _known_variables(cls, promql: str) -> str:
        if not re.fullmatch(QUERY, promql):
            raise ValueError(NO_VARIABLE)
        return promql


class ProviderSettings(Api):
    """A metrics provider. Only admins name addresses; a ModelDeployment never does."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(pattern=r"^https?://[^\s@]+$")
    bearer_token_file: str | None = None
    basic_auth: BasicAuth | None = None
    ca_file: str | None = None
    headers: dict[str, str] | None = None
    scrape_interval: PositiveDuration | None = None
    revision_label: LabelName | None = None
    free_queries: bool = False
    queries: tuple[QueryTemplate, ...] = ()

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, headers: dict[str, str] | None) -> dict[str, str] | None:
        if any(name.lower() == "authorization" for name in headers or {}):
            raise ValueError("credentials belong in bearerTokenFile or basicAuth")
        return headers

    @field_validator("queries")
    @classmethod
    def _distinct(cls, queries: tuple[QueryTemplate, ...]) -> tuple[QueryTemplate, ...]:
        require_distinct(query.name for query in queries)
        return queries

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if self.bearer_token_file and self.basic_auth:
            raise ValueError("set at most one of bearerTokenFile and basicAuth")
        return self


class NamedProvider(ProviderSettings):
    """A metrics provider that objectives ask for by its name."""

    name: Name


class MetricsSettings(Api):
    """The metrics providers; the first is the one of objectives that name none."""

    providers: tuple[NamedProvider, ...] = ()


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
    prometheus: ProviderSettings | None = None
    """The same as a first provider named default."""
    metrics: MetricsSettings = MetricsSettings()
    settle: Annotated[Duration, Field(ge=0, le=300, allow_inf_nan=False)] = 3.0
    scale_down_delay: Annotated[Duration, Field(ge=0, le=3600, allow_inf_nan=False)] = 30.0
    lease: LeaseSettings = LeaseSettings()
    fetch_image: str = Field(default_factory=lambda: os.environ.get("FETCH_IMAGE", ""))
    approvals_verified: bool = False
    """An admission policy has compared the names in approvals with the requesters."""
    port: Port = 8080
    notifications: Annotated[tuple[NotificationSettings, ...], Field(max_length=20)] = ()
    model_alerts: bool = False
    """Whether each model with objectives gets a PrometheusRule, where that kind exists."""
    model_alert_labels: dict[str, str] = Field(default_factory=dict)
    """Labels by which a Prometheus selects these rules."""
    workers: int = Field(4, ge=1, le=64)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    pod_name: str = Field(default_factory=lambda: os.environ.get("POD_NAME", f"local-{os.getpid()}"))
    pod_namespace: str = Field(default_factory=lambda: os.environ.get("POD_NAMESPACE", "default"))

    @field_validator("notifications")
    @classmethod
    def _different_names(cls, given: tuple[NotificationSettings, ...]) -> tuple[NotificationSettings, ...]:
        require_distinct((each.name for each in given), "names of notifications")
        return given

    @property
    def providers(self) -> tuple[NamedProvider, ...]:
        """Every metrics provider, the default one first."""
        first = self.prometheus
        named = (NamedProvider(name=DEFAULT, **dict(first)),) if first else ()
        return (*named, *self.metrics.providers)

    @property
    def known_providers(self) -> tuple[Provider, ...]:
        """What decisions know of the providers without asking them."""
        return tuple(
            Provider(
                name=each.name,
                revision_label=each.revision_label,
                free_queries=each.free_queries,
                queries={template.name: template.promql for template in each.queries},
            )
            for each in self.providers
        )

    @model_validator(mode="after")
    def _distinct_providers(self) -> Self:
        require_distinct((provider.name for provider in self.providers), "names of metrics providers")
        return self


def _why(error: yaml.YAMLError) -> str:
    """Say what is wrong and where, without the line itself or a word of it: a secret may be in it."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if not problem or not mark:
        return type(error).__name__
    words = re.sub(r"'[^']{2,}'|\"[^\"]{2,}\"", "'...'", problem)
    return f"line {mark.line + 1}: {words}"


def load(path: Path | None) -> Settings:
    """Read the configuration file. Raises ValueError with the field's path."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path else {}
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {_why(error)}") from None
    return Settings.model_validate(content or {})
