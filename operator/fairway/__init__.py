"""Fairway: puts a model into production on Kubernetes and takes a bad one out again."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fairway")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
