"""Probes: how one is made (`attempt`), what its results mean (`verdict`, pure), and who makes them when (`prober`)."""
