"""The kinds of things that a study is made of, in the order in which `mute list` has them. Imports nothing."""

KINDS = (
    *("method", "guard", "detector", "attack", "measure", "analysis"),
    *("model", "weights", "source", "language", "figure"),
)
