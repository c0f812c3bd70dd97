"""What is tried to bring back what was to be forgotten."""
