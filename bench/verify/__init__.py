"""`make bench-verify`: how long a check takes, beside what the systems need to read or hash the same data.

A file per comparison; `__main__` runs them in turn. ONLY=NAME[,NAME] runs some.
"""
