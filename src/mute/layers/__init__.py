"""Which blocks to edit: cross-language similarity by block, the candidate region and the choice within it."""
