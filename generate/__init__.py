"""What the build makes from published facts: the API schema, its types, and the runtime's messages.

Nothing here is imported at run time, and nothing that it writes is committed.
"""
