"""The board's files: submissions, what they must be, the shelves that hold them, and the board as table and page."""
