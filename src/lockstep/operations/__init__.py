"""What a person, a script or a test can ask of Lockstep: one file a verb. The CLI only prints these."""
