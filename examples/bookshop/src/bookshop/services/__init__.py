"""What the shop knows how to do; no HTTP in here except to the outside world."""
