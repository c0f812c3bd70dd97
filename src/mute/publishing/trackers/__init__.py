"""The registry of trackers: every module of this package is one.

A tracker has a `writer` (a context manager that gives a function: of a run, the file that it became, in a folder of its
own, and the copies of the run's files in their order), `folders`, those of all runs that lie there, and `send` if its
options have a mode `online`.
"""

from mute.registry import Modules

_REGISTRY = Modules(__name__, __path__, "tracker")
names, load = _REGISTRY.names, _REGISTRY.module
