"""What an evaluation says: scores of knowledge, capability and reversibility from token and answer tables."""
