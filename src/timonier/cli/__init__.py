"""Commands that talk to an API server and need no cluster on this machine."""
