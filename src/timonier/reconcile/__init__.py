"""How a controller's decisions become writes: snapshot, Plan, the one runner, events.

What should be the case for a kind is the business of `timonier.controllers`; nothing here knows any kind in particular.
"""
