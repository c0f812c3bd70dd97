"""Words of the tables that several modules share. Apart from `mute.names`, whose messages change no result."""

# What tells one cell from another, in the order of columns.
KEYS = ("model", "training_seed", "algorithm", "band", "sources", "retain", "forget_set", "protocol", "seed")
# In the table of references, in the place of the band that was skipped.
RETRAINED = "retrained"
