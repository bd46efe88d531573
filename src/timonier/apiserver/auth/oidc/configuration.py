"""AuthenticationConfiguration: the issuers of tokens, and where anonymous requests are let in; by a file or flags."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import field

from timonier.api import names
from timonier.api.validation.causes import Causes
from timonier.apiserver.auth import files
from timonier.apiserver.auth.files import Strict
from timonier.apiserver.auth.oidc.expressions import CLAIMS, USER, email_is_verified, problem
from timonier.apiserver.auth.settings import AccessSettings
from timonier.kit.fatal import needed

VERSIONS = ("v1", "v1beta1", "v1alpha1")
ANY = "MatchAny"
RESERVED = ("kubernetes.io", "k8s.io")


class Issuer(Strict):
    url: str = ""
    discoveryURL: str = ""
    certificateAuthority: str = ""
    audiences: tuple[str, ...] = ()
    audienceMatchPolicy: str = ""
    egressSelectorType: str = ""


class ClaimRule(Strict):
    claim: str = ""
    requiredValue: str = ""
    expression: str = ""
    message: str = ""


class Mapping(Strict):
    claim: str = ""
    prefix: str | None = None
    expression: str = ""


class Uid(Strict):
    claim: str = ""
    expression: str = ""


class Extra(Strict):
    key: str = ""
    valueExpression: str = ""


class Mappings(Strict):
    username: Mapping = field(default_factory=Mapping)
    groups: Mapping = field(default_factory=Mapping)
    uid: Uid = field(default_factory=Uid)
    extra: tuple[Extra, ...] = ()


class UserRule(Strict):
    expression: str = ""
    message: str = ""


class Authenticator(Strict):
    """One issuer, and what is made of its tokens."""

    issuer: Issuer = field(default_factory=Issuer)
    claimValidationRules: tuple[ClaimRule, ...] = ()
    claimMappings: Mappings = field(default_factory=Mappings)
    userValidationRules: tuple[UserRule, ...] = ()


class Condition(Strict):
    path: str = ""


class AnonymousPart(Strict):
    enabled: bool = False
    conditions: tuple[Condition, ...] = ()


class Configuration(Strict):
    jwt: tuple[Authenticator, ...] = ()
    anonymous: AnonymousPart | None = None


def from_file(path: Path, disallowed: Collection[str]) -> Configuration:
    """Raises CannotRun with all that is wrong; `disallowed` are issuers that are ours."""
    found = files.read(path, "AuthenticationConfiguration", VERSIONS, Configuration)
    causes = Causes()
    seen: set[str] = set()
    for index, each in enumerate(found.jwt):
        check(each, f"jwt[{index}]", disallowed, causes)
        for what, url in (("url", each.issuer.url), ("discoveryURL", each.issuer.discoveryURL)):
            if url and f"{what} {url}" in seen:
                causes.duplicate(f"jwt[{index}].issuer.{what}", url)
            seen.add(f"{what} {url}")
    if found.anonymous is not None and not found.anonymous.enabled and found.anonymous.conditions:
        causes.invalid("anonymous.conditions", msgspec.to_builtins(found.anonymous.conditions),
                       "enabled should be set to true when conditions are defined")
    files.refuse(path, causes)
    return found


def from_flags(settings: AccessSettings) -> Configuration:
    """The configuration that the `--oidc-…` flags stand for. Raises CannotRun."""
    url, claim = settings.oidc_issuer_url, settings.oidc_username_claim
    prefix = settings.oidc_username_prefix or ("" if claim == "email" else f"{url}#")
    authority = ""
    if settings.oidc_ca_file is not None:
        with needed("cannot read --oidc-ca-file"):
            authority = settings.oidc_ca_file.read_text()
    rules = tuple(ClaimRule(claim=name, requiredValue=value) for name, _, value in (
        text.partition("=") for text in settings.oidc_required_claim))
    groups = settings.oidc_groups_claim
    made = Authenticator(
        issuer=Issuer(url=url, audiences=(settings.oidc_client_id,), certificateAuthority=authority),
        claimValidationRules=rules, claimMappings=Mappings(
            username=Mapping(claim=claim, prefix="" if prefix == "-" else prefix),
            groups=Mapping(claim=groups, prefix=settings.oidc_groups_prefix) if groups else Mapping()))
    causes = Causes()
    check(made, "jwt[0]", settings.service_account_issuer, causes)
    files.refuse("--oidc-issuer-url", causes)
    return Configuration(jwt=(made,))


def check(found: Authenticator, path: str, disallowed: Collection[str], causes: Causes) -> None:
    check_issuer(found.issuer, f"{path}.issuer", disallowed, causes)
    check_claim_rules(found.claimValidationRules, f"{path}.claimValidationRules", causes)
    check_mappings(found, f"{path}.claimMappings", causes)
    check_user_rules(found.userValidationRules, f"{path}.userValidationRules", causes)


def check_issuer(issuer: Issuer, path: str, disallowed: Collection[str], causes: Causes) -> None:
    if not issuer.url:
        causes.required(f"{path}.url")
    else:
        if issuer.url in disallowed:
            causes.invalid(f"{path}.url", issuer.url,
                           f"URL must not overlap with disallowed issuers: [{' '.join(sorted(disallowed))}]")
        check_url(issuer.url, f"{path}.url", causes)
    if issuer.discoveryURL:
        if issuer.url.rstrip("/") == issuer.discoveryURL.rstrip("/"):
            causes.invalid(f"{path}.discoveryURL", issuer.discoveryURL, "discoveryURL must be different from URL")
        check_url(issuer.discoveryURL, f"{path}.discoveryURL", causes)
    check_audiences(issuer, path, causes)
    if issuer.certificateAuthority and "-----BEGIN CERTIFICATE-----" not in issuer.certificateAuthority:
        causes.invalid(f"{path}.certificateAuthority", "<omitted>",
                       "data does not contain any valid RSA or ECDSA certificates")
    if issuer.egressSelectorType:
        causes.invalid(f"{path}.egressSelectorType", issuer.egressSelectorType,
                       "egress selectors are not supported by this server")


def check_url(url: str, path: str, causes: Causes) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        causes.invalid(path, url, str(error))
        return
    for wrong, text in ((parts.scheme != "https", "URL scheme must be https"),
                        ("@" in parts.netloc, "URL must not contain a username or password"),
                        (bool(parts.query), "URL must not contain a query"),
                        (bool(parts.fragment), "URL must not contain a fragment")):
        if wrong:
            causes.invalid(path, url, text)


def check_audiences(issuer: Issuer, path: str, causes: Causes) -> None:
    if not issuer.audiences:
        causes.required(f"{path}.audiences", f"at least one {path}.audiences is required")
    for index, audience in enumerate(issuer.audiences):
        if not audience:
            causes.required(f"{path}.audiences[{index}]")
        elif audience in issuer.audiences[:index]:
            causes.duplicate(f"{path}.audiences[{index}]", audience)
    if len(issuer.audiences) > 1 and issuer.audienceMatchPolicy != ANY:
        causes.invalid(f"{path}.audienceMatchPolicy", issuer.audienceMatchPolicy,
                       "audienceMatchPolicy must be MatchAny for multiple audiences")
    elif issuer.audienceMatchPolicy not in ("", ANY):
        causes.invalid(f"{path}.audienceMatchPolicy", issuer.audienceMatchPolicy,
                       "audienceMatchPolicy must be empty or MatchAny for single audience")


def check_claim_rules(rules: tuple[ClaimRule, ...], path: str, causes: Causes) -> None:
    seen: set[tuple[str, str]] = set()
    for index, rule in enumerate(rules):
        place = f"{path}[{index}]"
        what, value = ("claim", rule.claim) if rule.claim else ("expression", rule.expression)
        if rule.claim and rule.expression:
            causes.invalid(place, rule.claim, "claim and expression can't both be set")
        elif not value:
            causes.required(place, "claim or expression is required")
        elif (what, value) in seen:
            causes.duplicate(f"{place}.{what}", value)
        elif rule.claim and rule.message:
            causes.invalid(f"{place}.message", rule.message, "may not be specified when claim is set")
        elif rule.expression:
            if rule.requiredValue:
                causes.invalid(f"{place}.requiredValue", rule.requiredValue,
                               "may not be specified when expression is set")
            check_expression(rule.expression, f"{place}.expression", CLAIMS, ("bool",), causes)
        seen.add((what, value))


def check_mappings(found: Authenticator, path: str, causes: Causes) -> None:
    mappings = found.claimMappings
    check_mapping(mappings.username, f"{path}.username", ("string",), causes, required=True)
    check_mapping(mappings.groups, f"{path}.groups", ("string", "list(string)"), causes, required=False)
    if mappings.uid.claim and mappings.uid.expression:
        causes.invalid(f"{path}.uid", "", "claim and expression can't both be set")
    elif mappings.uid.expression:
        check_expression(mappings.uid.expression, f"{path}.uid.expression", CLAIMS, ("string",), causes)
    for index, extra in enumerate(mappings.extra):
        check_extra(extra, f"{path}.extra[{index}]", mappings.extra[:index], causes)
    others = [*(extra.valueExpression for extra in mappings.extra),
              *(rule.expression for rule in found.claimValidationRules)]
    if not causes and not email_is_verified(mappings.username.expression, others):
        causes.invalid(f"{path}.username.expression", mappings.username.expression,
                       "claims.email_verified must be used in claimMappings.username.expression or "
                       "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email "
                       "is used in claimMappings.username.expression")


def check_mapping(mapping: Mapping, path: str, types: tuple[str, ...], causes: Causes, *, required: bool) -> None:
    if mapping.claim and mapping.expression:
        causes.invalid(path, "", "claim and expression can't both be set")
    elif mapping.expression:
        if mapping.prefix is not None:
            causes.invalid(f"{path}.prefix", mapping.prefix, "may not be specified when expression is set")
        check_expression(mapping.expression, f"{path}.expression", CLAIMS, types, causes)
    elif mapping.claim:
        if mapping.prefix is None:
            causes.required(f"{path}.prefix", "prefix is required when claim is set. It can be set to an empty string "
                                              "to disable prefixing")
    elif required:
        causes.required(path, "claim or expression is required")


def check_extra(extra: Extra, path: str, before: tuple[Extra, ...], causes: Causes) -> None:
    key, (domain, slash, rest) = extra.key, extra.key.partition("/")
    if not key:
        causes.required(f"{path}.key")
    elif not slash or not domain or not rest:
        causes.invalid(f"{path}.key", key, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        causes.each_invalid(f"{path}.key", domain, names.dns_subdomain(domain.lower()))
    if key != key.lower():
        causes.invalid(f"{path}.key", key, "must be lowercase")
    if any(domain == each or domain.endswith(f".{each}") for each in RESERVED):
        causes.invalid(f"{path}.key", key,
                       "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use")
    if any(key == each.key for each in before):
        causes.duplicate(f"{path}.key", key)
    if not extra.valueExpression:
        causes.required(f"{path}.valueExpression")
    else:
        check_expression(extra.valueExpression, f"{path}.valueExpression", CLAIMS, ("string", "list(string)"), causes)


def check_user_rules(rules: tuple[UserRule, ...], path: str, causes: Causes) -> None:
    for index, rule in enumerate(rules):
        if not rule.expression:
            causes.required(f"{path}[{index}].expression")
        elif any(rule.expression == each.expression for each in rules[:index]):
            causes.duplicate(f"{path}[{index}].expression", rule.expression)
        else:
            check_expression(rule.expression, f"{path}[{index}].expression", USER, ("bool",), causes)


def check_expression(text: str, path: str, variable: str, types: tuple[str, ...], causes: Causes) -> None:
    if wrong := problem(text, variable, types):
        causes.invalid(path, text, wrong)
