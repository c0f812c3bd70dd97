"""Figure 4: the layer scores of BLOOM-7b1."""

from mute.paper import curves

TITLE, CAPTION, draw = curves.figure("BLOOM-7b1")
