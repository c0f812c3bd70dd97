"""Figure 4: the layer scores of BLOOM-7b1."""

from matplotlib.figure import Figure

from mute.findings.published import Published
from mute.findings.results import Results
from mute.paper.figures import _curves

TITLE = "Layer scores of BLOOM-7b1"
CAPTION = "CKA and LRDS over depth: BLOOM-7b1 as published, and our model of that family."


def draw(results: Results, published: Published) -> Figure:
    return _curves.draw(results, published, "BLOOM-7b1")
