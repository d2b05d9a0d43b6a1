"""What a user declares, and what is made of it: models, shapes, mappings, invariants, pipelines."""
