"""What stops a mapping until a person decides or it is over: target lost, code changed, most keys failing."""
