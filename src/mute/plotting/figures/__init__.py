"""The figures of the report, one file each: `draw(tables, about)`, TITLE and CAPTION (`mute.plotting.registry`)."""

from mute.plotting.registry import Figures

REGISTRY = Figures(__name__, __path__)
names, modules, load = REGISTRY.names, REGISTRY.modules, REGISTRY.load
has, draw = REGISTRY.has, REGISTRY.draw
