"""Who carries the requests, and who was first."""

from typing import Any

import pytest

from fairway.api.spec import GatewayRef, ModelDeploymentSpec
from fairway.core import routing
from fairway.core.build.common import Owner

DEFAULT = GatewayRef(name="models", namespace="gateways")
GATEWAY: dict[str, Any] = {"spec": {"listeners": [{"protocol": "HTTP", "port": 8000}]}}


def model(name: str, created: int, traffic: dict[str, Any] | None) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ml", "creationTimestamp": f"2026-01-01T00:00:{created:02}Z"}
    return {"metadata": meta, "spec": {"traffic": traffic}}


def claim(name: str, created: int, **traffic: Any) -> routing.Claim | None:
    return routing.claim(model(name, created, traffic), DEFAULT)


@pytest.mark.parametrize(
    ("mine", "theirs", "contested"),
    [
        ({"hostnames": ["a.example"]}, {"hostnames": ["a.example"]}, True),
        ({"hostnames": ["a.example", "b.example"]}, {"hostnames": ["b.example"]}, True),
        ({"hostnames": ["a.example"]}, {"hostnames": ["b.example"]}, False),
        ({"hostnames": ["a.example"]}, {"hostnames": ["a.example"], "path": "/x"}, False),
        ({"hostnames": ["a.example"]}, {"path": "/x"}, False),
        ({"path": "/x"}, {"path": "/x"}, True),
        ({"path": "/x"}, {"path": "/y"}, False),
    ],
)
def test_the_older_of_two_claims_wins(mine, theirs, contested) -> None:
    younger, older = claim("young", 2, **mine), claim("old", 1, **theirs)
    assert younger is not None
    assert older is not None
    trouble = routing.trouble(younger, [older], GATEWAY)
    assert (trouble is not None) == contested
    assert routing.trouble(older, [younger], GATEWAY) is None
    if trouble:
        assert trouble.reason == "HostnameConflict"
        assert "ml/old already serves" in trouble.message


def test_other_gateways_do_not_compete() -> None:
    ours = claim("young", 2, hostnames=["a.example"])
    theirs = claim("old", 1, hostnames=["a.example"], gateway={"name": "other", "namespace": "gateways"})
    assert theirs is not None
    assert routing.trouble(ours, [theirs], GATEWAY) is None


def test_a_gateway_that_is_not_there_is_named() -> None:
    trouble = routing.trouble(claim("churn", 1, hostnames=["a.example"]), [], None)
    assert trouble is not None
    assert (trouble.reason, "gateways/models" in trouble.message) == ("NoGateway", True)


@pytest.mark.parametrize("traffic", [None, {}, {"path": "/"}])
def test_without_a_hostname_or_a_path_nothing_is_claimed(traffic) -> None:
    assert routing.claim(model("churn", 1, traffic), DEFAULT) is None


def test_one_that_goes_away_or_is_not_valid_claims_nothing() -> None:
    going = model("churn", 1, {"hostnames": ["a.example"]})
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    assert routing.claim(going, DEFAULT) is None
    assert routing.claim(model("churn", 1, {"hostnames": ["not a name"]}), DEFAULT) is None


@pytest.mark.parametrize(
    ("listener", "traffic", "shown"),
    [
        ({"protocol": "HTTP", "port": 80}, {"hostnames": ["a.example"]}, "http://a.example"),
        ({"protocol": "HTTP", "port": 8000}, {"hostnames": ["a.example"]}, "http://a.example:8000"),
        ({"protocol": "HTTPS", "port": 443}, {"hostnames": ["a.example"], "path": "/x/"}, "https://a.example/x"),
    ],
)
def test_the_url_is_the_listeners(listener, traffic, shown) -> None:
    raw = {"model": {"version": "1.0.0"}, "runtime": {"image": "x", "port": 1}, "traffic": traffic}
    spec = ModelDeploymentSpec.model_validate(raw)
    owner = Owner("ml", "churn", "u")
    assert routing.url(owner, spec, {"spec": {"listeners": [listener]}}) == shown
    assert routing.url(owner, spec, None) == "http://churn.ml.svc"
