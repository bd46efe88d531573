"""The API server: the one place where all parts of a cluster meet, and the only one that touches the store.

Read it as a request goes: `app` (the pipeline), `request`, `auth`, `routes`, `verbs` and `subresources`, `bodies`,
`registry` (the verbs without HTTP), `strategies` and `admission`, `objects`; then as a change goes: `feed`, `cache`,
`verbs.watch`. `server` puts it together.

What an object may say is the business of `timonier.api`, how revisions are kept that of `timonier.store`. Nothing here
acts on objects: whoever does so is a client, over HTTP, like everybody else.
"""
