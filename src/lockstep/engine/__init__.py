"""The engine: one file a stage, in the order in which a hint travels them.

capture → take (expand) → derive → decide → apply → settle      loop: one consumer;  service: all
"""
