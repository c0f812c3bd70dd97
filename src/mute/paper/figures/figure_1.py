"""What each language still knows after the edit of each block: the report's first picture is the paper's, too."""

from matplotlib.figure import Figure

from mute.findings.published import Published
from mute.findings.results import Results
from mute.plotting.figures import language_maps

TITLE, CAPTION = language_maps.TITLE, language_maps.CAPTION


def draw(results: Results, published: Published) -> Figure:
    return language_maps.draw(results, results.about)
