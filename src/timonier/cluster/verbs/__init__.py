"""The commands that make and keep clusters, one module each: its help, its arguments, and what it does.

What several commands do is a step (`cluster.steps`) or a function of the package; here is what a person sees of it.
"""
