"""From a pydantic model to a structural schema: the subset of JSON schema that the API server takes.

Every keyword is converted by name and an unknown one is an error, so that a new kind of field
cannot slip into a CRD half understood.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from fairway.api.crd_rules import Rule

Json = dict[str, Any]
Rules = Mapping[type[BaseModel], Sequence[Rule]]

_KEPT = (
    "type",
    "format",
    "pattern",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
)
# Titles repeat the name; defaults would show up as a difference in GitOps tools, so the operator applies
# them and writes the result to the status.
_DROPPED = frozenset({"title", "default", "$defs"})


class SchemaError(TypeError):
    """A model uses something that a structural schema cannot say."""


def structural(model: type[BaseModel], rules: Rules) -> Json:
    """Generate the structural schema of ``model``: no references, titles or defaults, but its CEL rules.

    Raises ``SchemaError`` for what a structural schema cannot say.
    """
    schema = model.model_json_schema(by_alias=True)
    cel = {owner.__name__: [rule.manifest() for rule in found] for owner, found in rules.items()}
    defs = schema.get("$defs", {})
    definitions = {name: definition | _validations(cel, name) for name, definition in defs.items()}
    return _convert(schema | _validations(cel, model.__name__), definitions)


def _validations(cel: Mapping[str, list[Json]], name: str) -> Json:
    return {"x-kubernetes-validations": cel[name]} if name in cel else {}


def _convert(node: Json, defs: Mapping[str, Json]) -> Json:
    node = _resolve(node, defs)
    schema: Json = {}
    if text := node.pop("description", None):
        schema["description"] = " ".join(text.replace("``", "`").split())
    if "anyOf" in node:
        return schema | _int_or_string(node)
    schema |= {keyword: node.pop(keyword) for keyword in _KEPT if keyword in node}
    schema |= _exclusive(node) | _children(node, defs)
    if schema.get("type") == "array":
        schema.setdefault("x-kubernetes-list-type", "atomic")
    if found := node.pop("x-kubernetes-validations", None):
        schema["x-kubernetes-validations"] = found
    _nothing_left(node)
    return schema


def _resolve(node: Json, defs: Mapping[str, Json]) -> Json:
    """Inline references and take the plain type of ``X | None``; what the field says of itself wins."""
    node = {keyword: value for keyword, value in node.items() if keyword not in _DROPPED}
    branches = [branch for branch in node.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        del node["anyOf"]
        return _resolve(branches[0] | node, defs)
    if "$ref" in node:
        return _resolve(defs[node.pop("$ref").rpartition("/")[2]] | node, defs)
    return node


def _int_or_string(node: Json) -> Json:
    """Write the one union that structural schemas know: an integer or a string, such as a quantity."""
    branches = [dict(branch) for branch in node.pop("anyOf") if branch["type"] != "null"]
    _nothing_left(node)
    if sorted(branch["type"] for branch in branches) != ["integer", "string"]:
        raise SchemaError(f"only int | str can be written as a union, got {branches}")
    known = ("minimum", "pattern", "maxLength")
    bounds = {keyword: branch[keyword] for keyword in known for branch in branches if keyword in branch}
    return {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True} | bounds


def _exclusive(node: Json) -> Json:
    """OpenAPI 3.0 has the excluded bound as a flag beside ``minimum`` and ``maximum``."""
    bounds: Json = {}
    for side in ("Minimum", "Maximum"):
        if (bound := node.pop(f"exclusive{side}", None)) is not None:
            bounds |= {side.lower(): bound, f"exclusive{side}": True}
    return bounds


def _children(node: Json, defs: Mapping[str, Json]) -> Json:
    children: Json = {}
    if "const" in node:
        children["enum"] = [node.pop("const")]
    if "properties" in node:
        children["properties"] = {name: _convert(field, defs) for name, field in node.pop("properties").items()}
    if "items" in node:
        children["items"] = _convert(node.pop("items"), defs)
    # `false` is what pruning and kubectl's strict validation say already; beside `properties` it is refused.
    if isinstance(values := node.pop("additionalProperties", None), dict):
        children["additionalProperties"] = _convert(values, defs)
    return children


def _nothing_left(node: Json) -> None:
    # Keywords of our own are for other readers of the models.
    if unknown := [keyword for keyword in node if not keyword.startswith("x-fairway-")]:
        raise SchemaError(f"cannot be written in a structural schema: {', '.join(unknown)}")
