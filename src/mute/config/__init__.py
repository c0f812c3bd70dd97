"""A configuration as it is written: its sections and their types, YAML files laid over each other, and problems."""
