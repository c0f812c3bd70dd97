"""Figure 3: the layer scores of Qwen-2.5-7B."""

from mute.paper import curves

TITLE, CAPTION, draw = curves.figure("Qwen-2.5-7B")
