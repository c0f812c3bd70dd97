"""The files of the published numbers. Imports no pandas."""

from pathlib import Path

FOLDER = Path("paper/published")
TABLES, CURVES, TARGETS = "mute_tables_long", "mute_fig2_3_4_curves", "mute_stated_layers"
REGIONS, ALPHAS = "mute_table5_regions", "mute_table6_regions"
FILES = (TABLES, CURVES, TARGETS, REGIONS, ALPHAS)
