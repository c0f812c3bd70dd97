"""What every rule of the workflow reads and is told, and what that will cost. Imports no torch."""
