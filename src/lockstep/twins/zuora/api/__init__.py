"""The HTTP side: a file for each kind of thing, a handler for each endpoint, the gate before them all."""
