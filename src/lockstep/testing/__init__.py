"""What a connector's author needs: the law of each port as a test class, servers, crash points. And what
a user's own tests ask: `assert_agreement`.

Nothing that needs pytest or a server's binaries is imported here.
"""

from lockstep.testing.agreement import assert_agreement

__all__ = ["assert_agreement"]
