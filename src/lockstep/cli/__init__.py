"""The command line: one file a verb. It prints what `lockstep.operations` answers, and decides nothing."""
