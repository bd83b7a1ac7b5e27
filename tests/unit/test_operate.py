"""The composition root: settings that cannot be used end the process before anybody is asked for anything."""

import logging
from typing import Any

import pytest

from fairway.operate import operate
from fairway.settings import Settings


@pytest.fixture(autouse=True)
def _own_handlers() -> Any:
    """The operator sets the root logger up: leave it as it was."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"notifications": [{"name": "bus", "url": "https://bus.example", "caFile": "/nowhere/ca.crt"}]},
            "the notification 'bus': caFile: /nowhere/ca.crt cannot be read",
        ),
        (
            {
                "metrics": {
                    "providers": [{"name": "mimir", "url": "https://mimir.example", "caFile": "/nowhere/ca.crt"}]
                }
            },
            "the metrics provider 'mimir': caFile: /nowhere/ca.crt cannot be read",
        ),
    ],
)
async def test_certificates_that_cannot_be_read_end_it_with_words(
    wrong: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await operate(Settings.model_validate(wrong)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
