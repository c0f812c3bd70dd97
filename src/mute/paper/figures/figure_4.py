"""Figure 4: the layer scores of BLOOM-7b1."""

from matplotlib.figure import Figure

from mute.paper.figures import _curves
from mute.paper.published import Published
from mute.plotting.results import Results

CAPTION = "CKA and LRDS over depth: BLOOM-7b1 as published, and our model of that family."


def draw(results: Results, published: Published) -> Figure:
    return _curves.draw(results, published, "BLOOM-7b1")
