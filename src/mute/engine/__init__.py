"""Runs a loss or an edit on a band of blocks: frozen prefix, truncated forward, band optimizer, stopping."""
