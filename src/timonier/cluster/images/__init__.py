"""Small container images made here, without a registry: the pause image and archives from files."""
