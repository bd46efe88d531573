"""The functions of the language and of Kubernetes, a library a module; each is a table that `functions` collects."""
