"""The corpus: what models learn, what they are to forget, and what they must keep."""
