"""What a connector's author needs: the law of each port as a test class, servers, crash points.

Nothing is imported here: a law needs pytest, and a server needs its binaries.
"""
