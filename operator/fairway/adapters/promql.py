"""PromQL as a real parser reads it: what a model owner writes stays in its namespace, or is refused."""

import re
from functools import lru_cache

import promql_parser as promql

from fairway.core.query import QueryError

_FOREIGN = frozenset({"info"})
"""Functions that read series which no selector of the query names."""
_LONGEST = 8192
_MOST_PARTS = 64
"""The parser's bindings take time with the cube of the depth: 10 ms at 64 parts, 7 s at 500."""
_STRING = re.compile(r"""\"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""")
_PART = re.compile(r"[(\[,]|[-+*/%^<>=!~]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)


def scoped(query: str, namespace: str) -> str:
    """Return the query if every selector in it has ``namespace="..."`` of this namespace. Raises QueryError.

    What comes back is the parser's own text, never the owner's: no other reader can find more in it than was checked.
    """
    text, refusal = _looked_at(query, namespace)
    if refusal is not None:
        raise QueryError(refusal)
    return text


@lru_cache(maxsize=1024)
def _looked_at(query: str, namespace: str) -> tuple[str, str | None]:
    """Return the parser's text and why it is refused, if so: looked at once, and asked about in every pass."""
    try:
        text = _own(query, namespace).prettify()
        if _own(text, namespace).prettify() != text:
            return "", "it cannot be written in one way only"
    except QueryError as error:
        return "", str(error)
    return text, None


def _own(query: str, namespace: str) -> promql.Expr:
    _require_plain(query)
    try:
        expression = promql.parse(query)
    except ValueError as error:
        raise QueryError(" ".join(str(error).split())[:200]) from None
    nodes: list[promql.Expr] = []
    promql.walk(expression, nodes.append)
    for node in nodes:
        _require_own(node, namespace)
    return expression


def _require_plain(query: str) -> None:
    """Refuse what could keep the parser busy, or what hides from the count of parts."""
    if len(query) > _LONGEST or not (query.isascii() and all(char.isprintable() or char in "\t\n" for char in query)):
        raise QueryError(f"it must be plain ASCII text of at most {_LONGEST} characters")
    if "#" in query:
        raise QueryError("there must be no # in it: comments belong elsewhere")
    if len(_PART.findall(_STRING.sub("", query))) > _MOST_PARTS:
        raise QueryError(f"it is too long: at most {_MOST_PARTS} brackets, commas, operators and matchers")


def _require_own(node: promql.Expr, namespace: str) -> None:
    if isinstance(node, promql.Call) and node.func.name in _FOREIGN:
        raise QueryError(f"{node.func.name}() reads series of other namespaces")
    if not isinstance(node, promql.VectorSelector):
        return
    if node.matchers.or_matchers:
        raise QueryError(f"{node.prettify()}: matchers joined by or cannot be held to a namespace")
    if not any(_is_own(matcher, namespace) for matcher in node.matchers.matchers):
        text = node.prettify()
        raise QueryError(f'{text} must name its namespace: write {{$selector}} or {{namespace="$namespace"}} in it')


def _is_own(matcher: promql.Matcher, namespace: str) -> bool:
    return (matcher.op, matcher.name, matcher.value) == (promql.MatchOp.Equal, "namespace", namespace)
