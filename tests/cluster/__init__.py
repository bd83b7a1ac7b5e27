"""The development cluster: `python -m tests.cluster up`, then `eval "$(python -m tests.cluster env)"`.

Other test code imports `cluster_env` to learn where everything is.
"""

from .environment import cluster_env

__all__ = ["cluster_env"]
