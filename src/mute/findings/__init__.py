"""What tables say: results, tests of claims, verdicts and their limits. Draws nothing."""
