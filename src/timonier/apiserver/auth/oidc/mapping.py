"""A user of claims, as an issuer's configuration says: by the names of claims, or by expressions about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timonier.apiserver.auth.identity import CREDENTIAL, BadToken, authenticated
from timonier.apiserver.auth.oidc.configuration import Authenticator
from timonier.apiserver.auth.oidc.expressions import CLAIMS, USER, evaluate, reachable, user_value
from timonier.apiserver.request import User

Claims = Mapping[str, Any]
STRINGS = "expression must return a string or a list of strings"


def user_of(claims: Claims, config: Authenticator) -> User:
    """The user that claims make. Raises BadToken where a rule of the configuration forbids it."""
    claims = reachable(claims)
    user = User(username(claims, config), uid_of(claims, config), groups_of(claims, config), extra_of(claims, config))
    check_claims(claims, config)
    for rule in config.userValidationRules:
        if not evaluate(rule.expression, USER, user_value(user), "user info validation rule"):
            raise BadToken("oidc: error evaluating user info validation rule: validation expression "
                           f"'{rule.expression}' failed: {rule.message}")
    return authenticated(user)


def username(claims: Claims, config: Authenticator) -> str:
    mapping = config.claimMappings.username
    if mapping.expression:
        made = evaluate(mapping.expression, CLAIMS, claims, "username claim expression")
        if not isinstance(made, str):
            raise BadToken("oidc: error evaluating username claim expression: username claim expression must return a "
                           "string")
        if not made:
            raise BadToken("oidc: empty username via CEL expression is not allowed")
        return made
    name = text_of(claims, mapping.claim, "username")
    if mapping.claim == "email" and "email_verified" in claims and claims["email_verified"] is not True:
        raise BadToken("oidc: email not verified")
    return f"{mapping.prefix or ''}{name}"


def groups_of(claims: Claims, config: Authenticator) -> tuple[str, ...]:
    mapping = config.claimMappings.groups
    if mapping.expression:
        return strings(evaluate(mapping.expression, CLAIMS, claims, "group claim expression"), "group claim expression")
    if not mapping.claim or mapping.claim not in claims:
        return ()
    found = claims[mapping.claim]
    values = [found] if isinstance(found, str) else found
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadToken(f'oidc: parse groups claim "{mapping.claim}": it is neither a string nor a list of strings')
    return tuple(f"{mapping.prefix or ''}{value}" for value in values)


def uid_of(claims: Claims, config: Authenticator) -> str:
    mapping = config.claimMappings.uid
    if mapping.claim:
        return text_of(claims, mapping.claim, "uid")
    if not mapping.expression:
        return ""
    made = evaluate(mapping.expression, CLAIMS, claims, "uid claim expression")
    if not isinstance(made, str):
        raise BadToken("oidc: error evaluating uid claim expression: uid claim expression must return a string")
    return made


def extra_of(claims: Claims, config: Authenticator) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    if isinstance(identity := claims.get("jti"), str) and identity:
        found[CREDENTIAL] = (f"JTI={identity}",)
    for each in config.claimMappings.extra:
        made = strings(evaluate(each.valueExpression, CLAIMS, claims, "extra claim expression"),
                       "extra claim expression")
        if made:
            found[each.key] = made
    return found


def check_claims(claims: Claims, config: Authenticator) -> None:
    for rule in config.claimValidationRules:
        if rule.claim:
            if rule.claim not in claims:
                raise BadToken(f"oidc: required claim {rule.claim} not present in ID token")
            if (value := text_of(claims, rule.claim, "required")) != rule.requiredValue:
                raise BadToken(f"oidc: required claim {rule.claim} value does not match. Got = {value}, want = "
                               f"{rule.requiredValue}")
        elif evaluate(rule.expression, CLAIMS, claims, "claim validation expression") is not True:
            raise BadToken("oidc: error evaluating claim validation expression: validation expression "
                           f"'{rule.expression}' failed: {rule.message}")


def text_of(claims: Claims, claim: str, what: str) -> str:
    if claim not in claims:
        raise BadToken(f'oidc: parse {what} claims "{claim}": claim not present')
    if not isinstance(claims[claim], str):
        raise BadToken(f'oidc: parse {what} claims "{claim}": it is not a string')
    return str(claims[claim])


def strings(made: Any, what: str) -> tuple[str, ...]:
    """The texts that an expression gave; empty ones count as absent."""
    values = [] if made is None else [made] if isinstance(made, str) else made
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise BadToken(f"oidc: error evaluating {what}: {STRINGS}")
    return tuple(value for value in values if value)
