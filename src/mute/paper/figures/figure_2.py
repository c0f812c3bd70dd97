"""Figure 2: the layer scores of Llama-3.1-8B."""

from mute.paper import curves

TITLE, CAPTION, draw = curves.figure("Llama-3.1-8B")
