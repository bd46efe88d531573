"""Resource quotas: `controller` counts anew what quotas say is used, `mirrors` follows the kinds that they count.

Admission charges quotas before objects are written; nothing but this controller takes anything off them.
"""
