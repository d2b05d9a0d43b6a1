"""Local stand-ins of vendors that cannot be had. Each is a server of its own and shares no code with the
connector that is tried on it: what both got wrong in the same way would never be seen."""
