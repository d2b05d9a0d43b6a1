"""One mapping at work, in a thread of its own: the loop through the stages, and what it waits for between."""
