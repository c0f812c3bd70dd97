"""Figure 3: the layer scores of Qwen-2.5-7B."""

from matplotlib.figure import Figure

from mute.findings.published import Published
from mute.findings.results import Results
from mute.paper.figures import _curves

TITLE = "Layer scores of Qwen-2.5-7B"
CAPTION = "CKA and LRDS over depth: Qwen-2.5-7B as published, and our model of that family."


def draw(results: Results, published: Published) -> Figure:
    return _curves.draw(results, published, "Qwen-2.5-7B")
