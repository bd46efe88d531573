"""One module a command: a docstring that is its help, `arguments(parser)`, and `run(args) -> exit code`."""
