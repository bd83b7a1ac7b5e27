"""The operator's configuration: defaults that work, and mistakes named by their field."""

import os
from typing import get_args

import pytest
from pydantic import ValidationError

from fairway.adapters.notify_forms import FORMS
from fairway.api.spec import GatewayRef
from fairway.settings import Form, Settings, load


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_no_file_and_an_empty_file_mean_the_defaults(written, monkeypatch):
    monkeypatch.setenv("POD_NAME", "fairway-1")
    monkeypatch.setenv("POD_NAMESPACE", "fairway-system")
    for chosen in (load(None), load(written("")), load(written("# nothing\n"))):
        assert chosen == Settings()
        assert (chosen.namespaces, chosen.gateway, chosen.prometheus) == ((), None, None)
        assert (chosen.settle, chosen.scale_down_delay, chosen.port, chosen.workers) == (3.0, 30.0, 8080, 4)
        assert (chosen.lease.name, chosen.lease.duration, chosen.log_level) == ("fairway", 15.0, "info")
        assert (chosen.pod_name, chosen.pod_namespace) == ("fairway-1", "fairway-system")


def test_outside_a_pod_the_process_names_itself(monkeypatch):
    monkeypatch.delenv("POD_NAME", raising=False)
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert (Settings().pod_name, Settings().pod_namespace) == (f"local-{os.getpid()}", "default")


def test_everything_can_be_set_in_the_words_of_the_api(written):
    chosen = load(
        written("""
namespaces: [ml, other]
gateway: {name: models, namespace: gateways}
prometheus:
  url: https://prometheus.example/base
  scrapeInterval: 15s
  bearerTokenFile: /token
  caFile: /ca.crt
  headers: {X-Scope-OrgID: team}
settle: 1m
scaleDownDelay: 1m30s
lease: {name: other, duration: 30s}
port: 9090
workers: 8
logLevel: debug
""")
    )
    assert chosen.namespaces == ("ml", "other")
    assert chosen.gateway == GatewayRef(name="models", namespace="gateways")
    assert chosen.prometheus.url == "https://prometheus.example/base"
    assert (chosen.prometheus.scrape_interval, chosen.prometheus.headers) == (15.0, {"X-Scope-OrgID": "team"})
    assert (chosen.settle, chosen.scale_down_delay, chosen.lease.duration) == (60.0, 90.0, 30.0)
    assert (chosen.port, chosen.workers, chosen.log_level) == (9090, 8, "debug")


def test_providers_have_names_and_the_first_is_the_default(written):
    chosen = load(
        written("""
prometheus: {url: http://one}
metrics:
  providers:
    - name: drift
      url: https://two
      basicAuth: {username: fairway, passwordFile: /password}
      revisionLabel: fairway_dev_revision
      freeQueries: true
      queries:
        - {name: drift, promql: 'max(drift{$selector})'}
""")
    )
    assert [(provider.name, provider.url) for provider in chosen.providers] == [
        ("default", "http://one"),
        ("drift", "https://two"),
    ]
    named = chosen.providers[1]
    assert named.free_queries
    assert (named.basic_auth.username, named.queries[0].name) == ("fairway", "drift")
    assert load(written("metrics: {providers: [{name: a, url: http://x}]}")).providers[0].name == "a"
    assert Settings().providers == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("unknown: 1", "unknown"),
        ("prometheus: {url: ftp://x}", "prometheus.url"),
        ("prometheus: {url: 'http://user:secret@x'}", "prometheus.url"),
        ("prometheus: {url: 'http://x y'}", "prometheus.url"),
        ("prometheus: {}", "prometheus.url"),
        ("prometheus: {url: http://x, token: t}", "prometheus.token"),
        ("prometheus: {url: http://x, headers: {authorization: Bearer x}}", "prometheus.headers"),
        ("prometheus: {url: http://x, scrapeInterval: 0s}", "prometheus.scrapeInterval"),
        ("prometheus: {url: http://x, revisionLabel: a-b}", "prometheus.revisionLabel"),
        ("prometheus: {url: http://x, bearerTokenFile: /t, basicAuth: {username: u, passwordFile: /p}}", "prometheus"),
        (
            "prometheus: {url: http://x, basicAuth: {username: 'u:v', passwordFile: /p}}",
            "prometheus.basicAuth.username",
        ),
        ("prometheus: {url: http://x, queries: [{name: a, promql: 'x{$what}'}]}", "prometheus.queries.0.promql"),
        (
            "prometheus: {url: http://x, queries: [{name: a, promql: x}, {name: a, promql: y}]}",
            "prometheus.queries",
        ),
        ("metrics: {providers: [{url: http://x}]}", "metrics.providers.0.name"),
        ("{prometheus: {url: http://x}, metrics: {providers: [{name: default, url: http://y}]}}", ""),
        ("settle: soon", "settle"),
        ("lease: {duration: -5s}", "lease.duration"),
        ("workers: 0", "workers"),
        ("workers: 65", "workers"),
        ("logLevel: chatty", "logLevel"),
        ("gateway: {name: Not_A_Name}", "gateway.name"),
        ("namespaces: ml", "namespaces"),
        ("port: many", "port"),
        ("notifications: [{name: a, url: http://x}, {name: a, url: http://y}]", "notifications"),
    ],
)
def test_a_mistake_is_named_by_its_field(written, text, field):
    with pytest.raises(ValidationError) as caught:
        load(written(text))
    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [field]


@pytest.mark.parametrize("text", ["- a list", "just text", "42"])
def test_a_file_that_is_no_mapping_is_refused(written, text):
    with pytest.raises(ValidationError):
        load(written(text))


def test_settings_do_not_change_once_they_are_read():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().workers = 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("notifications:\n- url: [hunter2\n  name: }", "line 3: "),
        ("prometheus: {url: hunter2\x00}", "ReaderError"),
        ("a: 1\n\tb: hunter2", "line 2: found character"),
        ("a: *hunter2", "line 1: found undefined alias '...'"),
    ],
)
def test_a_file_that_is_not_yaml_is_not_quoted(tmp_path, text, words):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match="not YAML: ") as refusal:
        load(file)
    assert words in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_two_notifications_of_one_name_are_refused():
    twice = [{"name": "bus", "url": "https://bus.example"}] * 2
    with pytest.raises(ValidationError, match="names of notifications must differ, but 'bus' is there twice"):
        Settings.model_validate({"notifications": twice})


def test_every_form_that_may_be_set_can_be_written():
    assert get_args(Form) == tuple(FORMS)


def test_models_get_alerts_only_when_asked(written):
    assert (Settings().model_alerts, Settings().model_alert_labels) == (False, {})
    chosen = load(written("modelAlerts: true\nmodelAlertLabels: {release: prometheus}"))
    assert (chosen.model_alerts, chosen.model_alert_labels) == (True, {"release": "prometheus"})
