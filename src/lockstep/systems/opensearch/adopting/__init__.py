"""An index that others have filled, taken over: read, copied in its likeness, and its readers moved."""
