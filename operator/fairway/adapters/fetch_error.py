"""Why a model is not there: the one error of the fetch, and whether trying again may help."""


class FetchError(Exception):
    """A fetch that failed, in words for the person who can fix it: no bodies, no URLs."""

    def __init__(self, message: str, *, permanent: bool, retry_after: float | None = 0.0) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after
        """Seconds to wait at least; None when this process need not try again."""


def permanent(message: str) -> FetchError:
    """Return an error that will be the same the next time."""
    return FetchError(message, permanent=True)


def temporary(message: str, *, retry_after: float | None = 0.0) -> FetchError:
    """Return an error that may go away by itself."""
    return FetchError(message, permanent=False, retry_after=retry_after)
