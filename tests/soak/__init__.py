"""Ten minutes of mixed load with a fault every 20 seconds, ending in deep agreement: `make soak`."""
