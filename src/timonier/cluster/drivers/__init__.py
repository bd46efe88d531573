"""Where nodes live. `netns` gives each a network namespace of its own on this machine."""
