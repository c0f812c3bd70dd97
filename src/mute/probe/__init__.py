"""Looks inside: what each block could already answer, and what is left when the edited block is bypassed."""
