"""API priority and fairness (KEP-1040): who may be answered now, who waits, and who is told to come back.

A request belongs to a flow: a FlowSchema says which, and on which priority level it waits. Levels divide the server's
seats between them (`shares`), and lend what they do not need (`demand`); inside a level, flows are queued so that none
starves another (`queues`). All of that is pure and is given the time; `gate` is the door in the server's pipeline,
`keep` looks after the objects that every cluster has (`defaults`).
"""
