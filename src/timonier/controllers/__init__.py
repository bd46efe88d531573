"""Controllers: for each kind, what should be the case, as a plan that is made purely from a snapshot.

One module a kind, a folder once it has steps; they do not import each other, only `shared`. How plans are carried out,
retried and counted is the business of `timonier.reconcile`.
"""
