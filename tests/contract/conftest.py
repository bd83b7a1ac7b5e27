"""A server to fetch from, and the fetch that does not wait."""

import pytest

from fairway.adapters.fetch import Job, fetch
from fairway.adapters.fetch_error import FetchError
from tests.fakes.https import Server, make_certificate


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def server(authority, monkeypatch):
    for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    opened = Server(authority)
    yield opened
    opened.close()


@pytest.fixture
def bring(server, authority, tmp_path):
    """Fetch without waiting; gives the directory, and keeps what was said and slept."""

    def run(url=None, **options):
        to = tmp_path / "volume" / "model"
        job = Job(to, url or server.url(), ca=authority[0], **options)
        fetch(job, run.said.append, run.slept.append)
        return to

    run.said, run.slept = [], []
    return run


@pytest.fixture
def refusal(bring):
    """Fetch in vain; gives the reason, and whether it is permanent."""

    def run(**options):
        with pytest.raises(FetchError) as caught:
            bring(**options)
        return str(caught.value), caught.value.permanent

    return run
