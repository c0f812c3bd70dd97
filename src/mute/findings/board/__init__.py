"""The board: a row for each method or guard, architecture and band of a study, and its place among the others."""
