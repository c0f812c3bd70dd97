"""Files that are whole, and how that is known: atomic writes, checksums, what made a file, DVC's pointers."""
