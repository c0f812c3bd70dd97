"""Figure 2: the layer scores of Llama-3.1-8B."""

from matplotlib.figure import Figure

from mute.findings.published import Published
from mute.findings.results import Results
from mute.paper.figures import _curves

TITLE = "Layer scores of Llama-3.1-8B"
CAPTION = "CKA and LRDS over depth: Llama-3.1-8B as published, and our model of that family."


def draw(results: Results, published: Published) -> Figure:
    return _curves.draw(results, published, "Llama-3.1-8B")
