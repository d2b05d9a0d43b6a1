"""Recovery: saved states of targets, bringing them back, new builds beside the live ones, rehearsals."""
