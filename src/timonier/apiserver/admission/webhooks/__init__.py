"""Webhooks: programs outside of the server that change what is written and refuse it.

`rules` says which requests concern a webhook, `configured` which webhooks there are, `reviews` what they are asked and
what their answers mean, `calling` asks one of them; `mutating` and `validating` are the plugins. How bytes get there is
not their business (`apiserver.hooks`). Source: Kubernetes documentation, "Dynamic Admission Control".
"""
