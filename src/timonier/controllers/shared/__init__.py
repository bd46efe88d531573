"""What several controllers say about the same things: pods, ownership, conditions, rounded shares."""
