"""Figure 2: the layer scores of Llama-3.1-8B."""

from matplotlib.figure import Figure

from mute.paper.figures import _curves
from mute.paper.published import Published
from mute.plotting.results import Results

CAPTION = "CKA and LRDS over depth: Llama-3.1-8B as published, and our model of that family."


def draw(results: Results, published: Published) -> Figure:
    return _curves.draw(results, published, "Llama-3.1-8B")
