"""Models and data sets of the Hugging Face hub: what is needed, how it is fetched, and what can go wrong."""
