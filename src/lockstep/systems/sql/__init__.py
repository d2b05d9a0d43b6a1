"""The writer that SQL databases share. A dialect says what is particular; see `dialect`."""
