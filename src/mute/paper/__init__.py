"""The paper: the published numbers and what they say of themselves, the claims, and the values of the text."""
