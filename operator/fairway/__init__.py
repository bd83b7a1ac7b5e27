"""Fairway: puts a model into production on Kubernetes and takes a bad one out again."""

__version__: str


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: what reads it is slow to import, and most programs never ask."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("fairway")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0.0.0"
