"""Figures and pages: pure functions of the result tables."""
