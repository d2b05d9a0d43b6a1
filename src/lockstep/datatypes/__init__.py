"""Values that databases hold and Python has no type for."""
