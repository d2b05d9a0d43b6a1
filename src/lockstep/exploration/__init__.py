"""Understanding a system before mapping it: what it holds, and the models that say so in Python."""
