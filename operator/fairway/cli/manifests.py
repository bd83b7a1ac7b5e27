"""The files of ``-f``: YAML documents, each with where it stands."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fairway.api import API_VERSION
from fairway.api.docs import TEXTS
from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.cli.errors import CliError, Exit

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file."""

    file: str
    content: dict[str, Any]

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.content.get("kind", ""))

    @property
    def name(self) -> str:
        """Its name; empty where it has none."""
        return str((self.content.get("metadata") or {}).get("name") or "")

    @property
    def namespace(self) -> str:
        """Its namespace; empty where it names none."""
        return str((self.content.get("metadata") or {}).get("namespace") or "")

    @property
    def ours(self) -> bool:
        """Whether it is of one of our kinds."""
        return str(self.content.get("apiVersion", "")).startswith("fairway.dev/")


@dataclass(frozen=True, slots=True)
class Files:
    """Everything of ours that was found, in the order of the files."""

    models: tuple[Document, ...]
    runtimes: tuple[Document, ...]
    strange: tuple[Document, ...] = ()
    """Of our group, but of no kind that we know."""


def read(files: Sequence[str]) -> Files:
    """Read all documents of our kinds. Raises CliError for a file that is no YAML, or when there is none of ours."""
    found = [document for name in files for document in _documents(name) if document.ours]
    if not found:
        raise CliError(f"{', '.join(files)}: no ModelDeployment in there", Exit.REFUSED)
    models = tuple(each for each in found if each.kind == "ModelDeployment")
    runtimes = tuple(each for each in found if each.kind == "ModelRuntime")
    return Files(models, runtimes, tuple(each for each in found if each not in (*models, *runtimes)))


def _documents(name: str) -> Iterator[Document]:
    if name == "-":
        yield from _parse("stdin", sys.stdin.read())
        return
    path = Path(name)
    if path.is_dir():
        for each in sorted(p for p in path.iterdir() if p.suffix in SUFFIXES):
            yield from _parse(str(each), _text(each))
        return
    yield from _parse(name, _text(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None


def _parse(name: str, text: str) -> Iterator[Document]:
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise CliError(f"{name}{where}: {problem}", Exit.REFUSED) from None
    for each in documents:
        if not isinstance(each, dict):
            raise CliError(f"{name}: a document is not an object", Exit.REFUSED)
        items = each.get("items") if str(each.get("kind", "")).endswith("List") else None
        yield from (Document(name, item) for item in (items if isinstance(items, list) else [each]))


def problems(document: Document) -> list[tuple[str, str]]:
    """Return (path, what is wrong) of everything that the schema and its rules refuse."""
    found: list[tuple[str, str]] = []
    if document.content.get("apiVersion") != API_VERSION:
        found.append(("apiVersion", f"must be {API_VERSION}"))
    if not document.name:
        found.append(("metadata.name", "is required"))
    if document.content.get("spec") is None:
        return [*found, ("spec", "is required")]
    kind = ModelRuntimeSpec if document.kind == "ModelRuntime" else ModelDeploymentSpec
    try:
        kind.model_validate(document.content["spec"])
    except ValidationError as error:
        found += [_problem(each) for each in error.errors(include_url=False)]
    return found


def refuse(document: Document) -> None:
    """Raise CliError with the first thing that the schema and its rules refuse."""
    wrong = problems(document)
    if wrong:
        path, words = wrong[0]
        more = " (fairway lint shows all)" if wrong[1:] else ""
        raise CliError(f"{document.file}: {path}: {words}{more}", Exit.REFUSED)


def _problem(error: Any) -> tuple[str, str]:
    path = "spec"
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    words = {"extra_forbidden": "there is no such field", "missing": "is required"}.get(error["type"])
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] in TEXTS:
        words = f"{error['input']!r} is not a {TEXTS[error['ctx']['pattern']]}"
    return path, words or str(error["msg"]).removeprefix("Value error, ")
