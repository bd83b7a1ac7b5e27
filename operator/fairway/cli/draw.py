"""The view as a tree of lines: readable at 80 columns, without colour, and in a pipe."""

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from fairway.cli import style
from fairway.cli.tracks import TrackView
from fairway.cli.view import ObjectiveView, RunView, View, objective_numbers
from fairway.cli.words import ago, plural, until

WIDE = 120
"""Columns from which an objective takes one line."""
Trends = Mapping[str, Sequence[float]]
"""Values of each objective over a watch, in percent."""


def draw(shown: View, console: Console, now: float, trends: Trends | None = None) -> RenderableType:
    """Return what ``status`` prints."""
    tree = Tree(_head(shown, console), guide_style=style.QUIET)
    width = max((len(track.version) for track in shown.tracks), default=0)
    for track in shown.tracks:
        _add_track(tree, track, width, console, now)
    if shown.run:
        _add_run(tree, shown.run, console, now)
    if shown.objectives:
        _add_objectives(tree, shown, console, now, trends or {})
    for trouble in shown.troubles:
        tree.add(Text.assemble(("! ", style.OPEN), trouble))
    for words in shown.missing:
        tree.add(Text(words, style=style.QUIET))
    if not shown.hint:
        return tree
    return Group(tree, Text(f"Next: {shown.hint}", style=style.QUIET))


def _head(shown: View, console: Console) -> Text:
    place = f"  {shown.url}" if shown.url else ""
    head = Text.assemble(
        (f"{shown.namespace}/{shown.name}", style.STRONG), f"  {shown.asked}", (place, style.QUIET), "\n"
    )
    head.append(f"{style.sign(shown.phase, console)} {shown.phase}", style=style.style_of(shown.phase))
    head.append(f"  {shown.message}")
    return head


def _add_track(tree: Tree, track: TrackView, width: int, console: Console, now: float) -> None:
    line = Text.assemble(
        (f"{track.role:<9}", style.STRONG), f" {track.version:<{width}} ", (track.revision, style.QUIET)
    )
    line.append(f"  {track.ready}/{max(track.replicas, track.ready)} ready")
    if track.asked is not None:
        served = "?" if track.served is None else f"{track.served}%"
        line.append(f"  {track.asked}% asked, {served} served")
    if track.note:
        line.append(f"  {track.note}" + (f" {until(track.until, now)}" if track.until else ""))
    branch = tree.add(line)
    for pod in track.pods:
        mark = style.sign(pod.state, console)
        words = Text.assemble((f"{mark} ", style.style_of(pod.state)), pod.name, f"  {pod.state}")
        words.append(f"  {ago(pod.since, now)}", style=style.QUIET)
        if pod.cause:
            words.append(f"  {pod.cause}", style=style.style_of(pod.state))
        branch.add(words)
    if track.hidden:
        branch.add(Text(f"and {plural(track.hidden, 'more pod')}", style=style.QUIET))


def _add_run(tree: Tree, run: RunView, console: Console, now: float) -> None:
    line = Text.assemble((f"{run.id:<9}", style.STRONG), f" step {run.progress}, open for {ago(run.started_at, now)}")
    branch = tree.add(line)
    marks = {"done": ("✓", "+"), "now": ("▸", ">"), "next": (" ", " ")}
    for step in run.steps:
        mark = marks[step.state][style.is_plain(console)]
        colour = {"done": style.GOOD, "now": style.STRONG, "next": style.QUIET}[step.state]
        words = Text.assemble((f"{mark} {step.number} {step.what}", colour))
        if step.state == "now" and run.waiting_for:
            due = until(run.deadline, now)
            words.append(f"  waits for {run.waiting_for}" + (f", {due}" if due else ""))
        branch.add(words)


def _add_objectives(tree: Tree, shown: View, console: Console, now: float, trends: Trends) -> None:
    line = Text.assemble(("verdict  ", style.STRONG), " ", style.word(shown.verdict))
    line.append(f"  {ago(shown.judged_at, now)} ago", style=style.QUIET)
    branch = tree.add(line)
    width = max(len(entry.name) for entry in shown.objectives)
    for entry in shown.objectives:
        branch.add(_objective(entry, width, console, trends.get(entry.name, ())))


def _objective(entry: ObjectiveView, width: int, console: Console, trend: Sequence[float]) -> Text:
    colour = style.style_of(entry.state)
    text = Text.assemble((f"{style.sign(entry.state, console)} {entry.name:<{width}}", colour))
    text.append(f"  {entry.state}  {objective_numbers(entry)}")
    details = f"evidence {entry.evidence}, " if entry.evidence else ""
    details += plural(entry.requests, "request")
    if console.width >= WIDE:
        text.append(f"  {details}", style=style.QUIET)
    else:
        text.append(f"\n  {'':<{width}}  {details}", style=style.QUIET)
    if len(trend) > 1:
        text.append("  " + style.sparkline(list(trend), limit_of(entry), plain=style.is_plain(console)))
    if entry.message and entry.state not in ("Healthy", "Undecided", "Regressed"):
        told = entry.message.removeprefix(f"{entry.name}: ").split(f", {entry.value} ")[0]
        text.append(f"\n  {'':<{width}}  {told}", style=colour)
    return text


def limit_of(entry: ObjectiveView) -> float:
    """Return the limit of an objective in percent: of requests that fail, or that are too slow; 0 where unknown."""
    limit = entry.limit
    try:
        if limit.startswith("p"):
            return 100.0 - float(limit[1:].split()[0])
        return float(limit.rstrip("%"))
    except (ValueError, IndexError):
        return 0.0
