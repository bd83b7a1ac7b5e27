"""How often the interpreter looks for garbage that only a cycle keeps alive."""

import gc

YOUNG = 10_000
"""New objects until they are looked at: more than an answer of a provider makes.

With Python's 700 the collector goes over each answer several times while it is read, and over all evidence once or
twice in each scrape interval: together a sixth of an evaluation. Only objects in cycles wait for it, a few megabytes.
"""


def settle() -> None:
    """Leave out of later collections what lives now, which is what was imported; to be called once, at the start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
