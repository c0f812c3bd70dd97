"""The explorer of a study: a folder of pages that opens from disk, made of the study's tables."""
