"""The guard: one door for writes, and the policies that see every plan before it runs."""
