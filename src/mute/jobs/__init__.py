"""What surrounds the work of a job: its log, its seals, its GPU, and where its time went."""
