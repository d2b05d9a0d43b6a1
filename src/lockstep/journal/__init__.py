"""The journal: the durable, partitioned, ordered log of hints. `sql` is the embedded one."""
