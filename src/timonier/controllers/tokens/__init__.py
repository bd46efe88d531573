"""Tokens that are kept in Secrets: those of service accounts, on request, and those that let machines join."""
