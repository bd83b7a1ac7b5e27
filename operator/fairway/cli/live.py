"""``status --watch``: live at a terminal, one line a change in a pipe."""

import queue
import shutil
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from fairway.cli import style
from fairway.cli.client import Manifest
from fairway.cli.draw import draw
from fairway.cli.errors import CliError, Exit, told
from fairway.cli.follow import states
from fairway.cli.screen import Screen
from fairway.cli.see import look
from fairway.cli.session import Session
from fairway.cli.view import View, judged, objective_numbers, value_of, view
from fairway.cli.words import clock, plural

TICK = 1.0
"""Seconds between two looks at the clock."""
PODS_EVERY = 3.0
"""Seconds between two looks at the pods, where nothing else has changed."""
POINTS = 30
"""Values that a sparkline shows."""


@dataclass
class Trends:
    """The values of each objective since the watch or the run began, one for each verdict."""

    values: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=POINTS)))
    seen: float = 0.0
    run: str = ""

    def add(self, shown: View) -> None:
        """Note the values of a verdict that was not seen yet; those of another candidate are forgotten."""
        if shown.run and shown.run.id != self.run:
            self.run = shown.run.id
            self.values.clear()
        at = judged(shown)
        if at <= self.seen:
            return
        self.seen = at
        for entry in shown.objectives:
            value = value_of(entry)
            if value is not None:
                self.values[entry.name].append(value)


def run(session: Session, name: str) -> int:
    """Show one ModelDeployment until interrupted."""
    if session.terminal:
        return _live(session, name)
    before: list[str] = []
    for model in states(session, name):
        now = changes(_seen(session, model))
        for line in now:
            if line not in before:
                session.say(f"{clock(session.now())}  {line}")
        before = now
    return Exit.DONE


def _seen(session: Session, model: Manifest) -> View:
    """Look at everything; at least at the object itself, with a word, while the API server does not answer."""
    try:
        return look(session, model)
    except CliError as error:
        alone = view(model, None, None)
        return replace(alone, troubles=(*alone.troubles, error.message))


def changes(shown: View) -> list[str]:
    """Return what a log of the watch tells: a line for the whole, for each verdict, pod in trouble and condition."""
    lines = [f"{shown.phase}  {shown.message}"]
    lines += [
        f"{entry.name}  {entry.state}  {objective_numbers(entry)}, {plural(entry.requests, 'request')}"
        for entry in shown.objectives
    ]
    lines += [f"{pod.name}  {pod.state}  {pod.cause}" for track in shown.tracks for pod in track.pods if pod.cause]
    return [*lines, *shown.troubles]


def _live(session: Session, name: str) -> int:
    news: queue.Queue[Manifest | CliError] = queue.Queue()
    model = session.model(name)
    threading.Thread(target=_watch, args=(session.beside(), name, news), daemon=True).start()
    trends, shown, looked = Trends(), look(session, model), session.now()
    with Screen(session.out) as screen:
        while True:
            trends.add(shown)
            columns, height = shutil.get_terminal_size()
            session.console.width = columns
            drawn = style.lines(session.console, draw(shown, session.console, session.now(), trends.values))
            screen.show(drawn, (columns, height))
            fresh = next(_newest(news), None)
            if fresh is not None or session.now() - looked >= PODS_EVERY:
                model, looked = fresh or model, session.now()
                shown = _look_again(session, model, shown)


def _look_again(session: Session, model: Manifest, shown: View) -> View:
    """Look at everything anew; what was seen last stays, with a word, while the API server does not answer."""
    try:
        return look(session, model)
    except CliError as error:
        return replace(shown, troubles=(error.message,))


def _newest(news: "queue.Queue[Manifest | CliError]") -> Iterator[Manifest]:
    """Yield the last of what has come, after at most a tick."""
    try:
        found = news.get(timeout=TICK)
        while not news.empty():
            found = news.get_nowait()
    except queue.Empty:
        return
    if isinstance(found, CliError):
        raise found
    yield found


def _watch(session: Session, name: str, news: "queue.Queue[Manifest | CliError]") -> None:
    """Follow the object with a connection of our own, in a thread."""
    try:
        for model in states(session, name):
            news.put(model)
    except Exception as error:  # noqa: BLE001  whoever draws must hear that nothing will come any more
        news.put(told(error))
