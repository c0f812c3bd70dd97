"""A study: its cells, and whether its configuration makes sense. Imports no torch."""
