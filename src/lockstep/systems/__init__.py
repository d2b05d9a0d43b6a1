"""The systems that Lockstep reads, follows and writes: one folder for each, the same file names in each."""
