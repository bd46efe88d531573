"""The commands that make and keep clusters: one module each, with its help, its arguments, and what it does."""
