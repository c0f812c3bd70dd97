"""The paper's own figures, one file each: `draw(results, published)`, TITLE and CAPTION (`mute.plotting.registry`).

Figure 1 is the report's first picture; 2 to 4, and three_depths, are the published paper's, ours beside them. What a
study did not run is said in the panel's place.
"""

from mute.plotting.registry import Figures

REGISTRY = Figures(__name__, __path__)
names, modules, load, draw, has = REGISTRY.names, REGISTRY.modules, REGISTRY.load, REGISTRY.draw, REGISTRY.has
