"""The paper: its tables, its figures, the values of its text, and the frozen tables of the reference run."""
