"""The tables of fields in ``docs/spec/v1alpha1.md``, generated from the models. People write the rest of the page."""

from collections.abc import Iterator
from pathlib import Path

from fairway.api import crd
from fairway.api.crd_schema import Json
from fairway.api.types import (
    DIGEST,
    DIRECTORY,
    DNS_LABEL,
    DNS_SUBDOMAIN,
    DURATION,
    HOSTNAME,
    LABEL,
    LATENCY,
    METRIC,
    NUMBER,
    PATH,
    PERCENT,
    QUANTITY,
    SEMVER,
)

BEGIN = "<!-- fields: begin -->"
END = "<!-- fields: end -->"
TEXTS = {
    DIGEST: "digest",
    DIRECTORY: "directory",
    DNS_LABEL: "name",
    DNS_SUBDOMAIN: "object name",
    DURATION: "duration",
    HOSTNAME: "host name",
    LABEL: "label name",
    LATENCY: "latency",
    METRIC: "metric name",
    NUMBER: "number as text",
    PATH: "path",
    PERCENT: "percentage",
    QUANTITY: "quantity",
    SEMVER: "semantic version",
}
"""What people call a text of a pattern."""


def render() -> str:
    """Write every kind's fields: a table and the rules for each part of a spec, and one table for a status."""
    found = crd.crds().values()
    parts = [part for manifest in found for part in _kind(manifest)]
    return "\n\n".join(parts) + "\n"


def write(page: Path | str) -> None:
    """Put the tables between the marks of ``page``, which must be there."""
    path = Path(page)
    path.write_text(_merged(path.read_text(encoding="utf-8")), encoding="utf-8")


def check(page: Path | str) -> list[str]:
    """Say, in one sentence, where ``page`` is not what ``write`` would make of it."""
    path = Path(page)
    if not path.is_file():
        return [f"{path} is missing"]
    text = path.read_text(encoding="utf-8")
    return [] if text == _merged(text) else [f"{path} differs from the models: write it again with `fairway crds`"]


def _merged(text: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no place for the tables: it needs {BEGIN} and, after it, {END}")
    return f"{before}{BEGIN}\n\n{render()}\n{END}{after}"


def _kind(manifest: Json) -> Iterator[str]:
    name = manifest["spec"]["names"]["kind"]
    (version,) = manifest["spec"]["versions"]
    parts = version["schema"]["openAPIV3Schema"]["properties"]
    spec = parts["spec"]
    yield f"### {name}: spec\n\n{spec['description']}"
    deep = {field: schema for field, schema in spec["properties"].items() if _inner(schema)[1]}
    flat = {field: schema for field, schema in spec["properties"].items() if field not in deep}
    required = spec.get("required", ())
    if flat:
        yield _table(row for field, schema in flat.items() for row in _rows(field, schema, required=field in required))
    yield from _rules(_own(spec))
    for field, schema in deep.items():
        yield f"#### {field}" + (" (required)" if field in required else "")
        yield schema["description"]
        yield _table(_below(field, schema))
        yield from _rules(_laws(field, schema))
    if "status" in parts:
        status = parts["status"]
        yield f"### {name}: status\n\n{status['description']}"
        yield _table(_below("", status))


Row = tuple[str, str, str]


def _table(rows: Iterator[Row]) -> str:
    head = "| field | type | meaning |\n|---|---|---|\n"
    return head + "\n".join(f"| `{path}` | {_cell(kind)} | {_cell(text)} |" for path, kind, text in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _below(path: str, schema: Json) -> Iterator[Row]:
    """Every field under an object or a list of objects, parents first."""
    suffix, fields, required = _inner(schema)
    for field, child in fields.items():
        full = f"{path}{suffix}.{field}".removeprefix(".")
        yield from _rows(full, child, required=field in required)


def _rows(path: str, schema: Json, *, required: bool) -> Iterator[Row]:
    kind = _type(schema) + (", required" if required else "")
    yield path, kind, schema.get("description", "")
    yield from _below(path, schema)


def _inner(schema: Json) -> tuple[str, Json, list[str]]:
    """Return what stands behind the path of a schema's fields, the fields, and which are required."""
    listed = schema.get("type") == "array"
    inside = schema["items"] if listed else schema
    return "[]" if listed else "", inside.get("properties", {}), inside.get("required", [])


def _type(schema: Json) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return _text(schema)
    match schema["type"]:
        case "array":
            items = schema["items"]
            most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"list of {_type(items)}{most}"
        case "object" if "additionalProperties" in schema:
            most = f", at most {schema['maxProperties']}" if "maxProperties" in schema else ""
            return f"map of {_type(schema['additionalProperties'])}{most}"
        case "string":
            return _text(schema)
        case "integer" | "number":
            return _number(schema)
        case other:
            return str(other)


def _text(schema: Json) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("format") == "date-time":
        return "time"
    return TEXTS.get(schema.get("pattern", ""), "string")


def _number(schema: Json) -> str:
    if not {"minimum", "maximum"} <= schema.keys():
        return str(schema["type"])
    over = "over " if schema.get("exclusiveMinimum") else ""
    under = "under " if schema.get("exclusiveMaximum") else ""
    return f"{schema['type']}, {over}{schema['minimum']} to {under}{schema['maximum']}"


Law = tuple[str, str]


def _rules(laws: Iterator[Law]) -> Iterator[str]:
    lines = [f"- `{path}`: {message}" for path, message in laws]
    if lines:
        yield "Rules:\n\n" + "\n".join(lines)


def _own(schema: Json, path: str = "") -> Iterator[Law]:
    for entry in schema.get("x-kubernetes-validations", ()):
        yield f"{path}{entry.get('fieldPath', '')}".removeprefix("."), entry["message"]


def _laws(path: str, schema: Json) -> Iterator[Law]:
    """Every rule of an object or a list of objects, with the field that it blames."""
    suffix, fields, _ = _inner(schema)
    inside = schema["items"] if suffix else schema
    yield from _own(inside, f"{path}{suffix}")
    for field, child in fields.items():
        yield from _laws(f"{path}{suffix}.{field}", child)
