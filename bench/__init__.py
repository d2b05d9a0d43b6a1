"""Benchmarks: Lockstep beside the physical limit and beside a peer, in one run, as ratios. See README.md."""
