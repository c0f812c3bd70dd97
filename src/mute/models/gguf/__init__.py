"""GGUF files: read as data, checked, and de-quantised once into ordinary model directories."""
