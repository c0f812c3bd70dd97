"""Models and data of the Hugging Face hub, and weights of the package index: what is needed, and what can go wrong."""
