"""A MetricsSource that has scraped expositions: text as servers publish it, growing by itself at each scrape."""

import re
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from fairway.ports import RawSeries, Selector
from tests.fakes.prometheus import Clock

SCRAPE = 5.0
FIRST = 1000.0
"""Time of the first scrape: every counter is 0 then; at the n-th after it, n times what the exposition says."""


@dataclass
class Exposed:
    """Targets, each by the labels that a scrape adds and the text that it answers."""

    clock: Clock
    targets: list[tuple[dict[str, str], str]]
    asked: list[Selector] = field(default_factory=list)

    async def raw(self, selectors, window):
        self.asked += selectors
        return [
            RawSeries.of(labels, [(at, value * self._scrapes(at)) for at in self._times(window)])
            for added, text in self.targets
            for labels, value in _series(added, text)
            if any(_selects(selector, labels) for selector in selectors)
        ]

    def _times(self, window):
        last = int((self.clock.time - 0.1 - FIRST) // SCRAPE)
        return [at for k in range(last + 1) if (at := FIRST + k * SCRAPE) > self.clock.time - window]

    @staticmethod
    def _scrapes(at):
        return round((at - FIRST) / SCRAPE)


def _series(added, text):
    for metric in text_string_to_metric_families(text):
        for sample in metric.samples:
            # The parser gives every counter OpenMetrics' suffix; Prometheus takes the name as it is.
            written = f"\n{sample.name}{{" in text
            yield {**sample.labels, **added, "__name__": sample.name if written else metric.name}, sample.value


def _selects(selector, labels):
    matchers = ((m.label, m.op, m.value) for m in selector.matchers)
    return labels["__name__"] == selector.metric and all(_matches(labels.get(n, ""), op, v) for n, op, v in matchers)


def _matches(value, op, wanted):
    hit = re.fullmatch(wanted, value) is not None if "~" in op else value == wanted
    return hit != op.startswith("!")
