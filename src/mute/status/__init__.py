"""How a study stands: what is done, running, failed and pending, as text and as a page. Imports no torch."""
