"""Who manages which fields of an object, and what an apply makes of it: server-side apply, purely.

Read it from the bottom: `elements` (steps of a path), `fields` (sets of fields, in the form in which they stand in
managedFields), `types` (what a schema says about merging), then what can be done with values of a type: `whole`,
`mention`, `compare`, `merge`, `remove`, `conform`. `managers` reads and writes managedFields; `operations` are update
and apply, and `fresh` is the short way to what the first update of an object comes to.

Nothing here knows requests, kinds or stores; which doors reset which fields, and under which name somebody writes, is
the API server's to say. Source: KEP-555; Kubernetes documentation, "Server-Side Apply".
"""
