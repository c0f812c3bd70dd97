"""The registry of trackers: every module of this package is one.

A tracker has a `Writer` (a context manager; its `write(run)` gives the file that a run became, in a folder of its own,
and the copies of the run's files in their order), `folders`, those of all runs that lie there, `where`, the options
that say where runs belong, and `send` if its options have a mode `online`.
"""

from mute.registry import Modules

_REGISTRY = Modules(__name__, __path__, "tracker")
names, load = _REGISTRY.names, _REGISTRY.module
