"""What is checked of every object: its metadata, and the labels and selectors that occur everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from timonier.api import names
from timonier.api.kinds import Kind
from timonier.api.validation.causes import Causes, Obj

LARGEST_ANNOTATIONS = 256 * 1024
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
STANDARD_FINALIZERS = ("kubernetes", ORPHAN, FOREGROUND)
FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
SELECTOR_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def metadata(kind: Kind, obj: Obj, name_form: names.Check, causes: Causes) -> None:
    """The metadata of an object that is to be created; its name was generated before, where it was asked for."""
    meta: Obj = obj.get("metadata", {})
    prefix, name = meta.get("generateName", ""), meta.get("name", "")
    if prefix:
        causes.each_invalid("metadata.generateName", prefix, name_form(masked(prefix)))
    if not name:
        causes.required("metadata.name", "name or generateName is required")
    else:
        causes.each_invalid("metadata.name", name, name_form(name))
    namespace = meta.get("namespace", "")
    if kind.namespaced:
        if not namespace:
            causes.required("metadata.namespace")
        else:
            causes.each_invalid("metadata.namespace", namespace, names.dns_label(namespace))
    elif namespace:
        causes.forbidden("metadata.namespace", "not allowed on this type")
    causes.non_negative(meta, "metadata", "generation")
    common(meta, causes)


def masked(prefix: str) -> str:
    """A prefix as it will be once something is appended: a dash at its end is then in the middle."""
    return prefix[:-1] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def common(meta: Obj, causes: Causes) -> None:
    """The parts of metadata that create and update check alike."""
    if "labels" in meta:
        labels(meta["labels"], "metadata.labels", causes)
    if "annotations" in meta:
        annotation_pairs(meta["annotations"], "metadata.annotations", causes)
    if "ownerReferences" in meta:
        owner_references(meta["ownerReferences"], causes)
    for finalizer in meta.get("finalizers", ()):
        causes.each_invalid("metadata.finalizers", finalizer, names.qualified_name(finalizer))
    if ORPHAN in meta.get("finalizers", ()) and FOREGROUND in meta["finalizers"]:
        causes.invalid("metadata.finalizers", meta["finalizers"],
                       f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set")


def finalizers(names_given: list[str], path: str, causes: Causes) -> None:
    """Finalizers of built-in kinds are Kubernetes's own or carry the domain of whoever handles them."""
    for index, finalizer in enumerate(names_given):
        if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            causes.invalid(f"{path}[{index}]", finalizer,
                           "name is neither a standard finalizer name nor is it fully qualified")


def metadata_update(obj: Obj, old: Obj, causes: Causes) -> None:
    meta: Obj = obj.get("metadata", {})
    before: Obj = old.get("metadata", {})
    if before.get("deletionTimestamp"):
        new = sorted(set(meta.get("finalizers", ())) - set(before.get("finalizers", ())))
        if new:
            listed = ", ".join(f'"{each}"' for each in new)
            causes.forbidden("metadata.finalizers", "no new finalizers can be added if the object is being deleted, "
                             f"found new finalizers []string{{{listed}}}")
    if meta.get("generation", 0) < before.get("generation", 0):
        causes.invalid("metadata.generation", meta.get("generation", 0), "must not be decremented")
    causes.immutable(meta, before, "metadata", *FIXED)
    common(meta, causes)


def template_metadata(meta: Obj, path: str, causes: Causes) -> None:
    """The metadata of what controllers make more of: labels and annotations."""
    if "labels" in meta:
        labels(meta["labels"], f"{path}.labels", causes)
    if "annotations" in meta:
        annotation_pairs(meta["annotations"], f"{path}.annotations", causes)


def labels(pairs: Mapping[str, str], path: str, causes: Causes) -> None:
    for key, value in pairs.items():
        causes.each_invalid(path, key, names.qualified_name(key))
        causes.each_invalid(path, value, names.label_value(value))


def annotation_pairs(pairs: Mapping[str, str], path: str, causes: Causes) -> None:
    size = 0
    for key, value in pairs.items():
        causes.each_invalid(path, key, names.qualified_name(key.lower()))
        size += len(key.encode(errors="surrogatepass")) + len(value.encode(errors="surrogatepass"))
    if size > LARGEST_ANNOTATIONS:
        causes.too_long(path, LARGEST_ANNOTATIONS)


def owner_references(references: list[Obj], causes: Causes) -> None:
    path, controller = "metadata.ownerReferences", ""
    for reference in references:
        for field, text in (("apiVersion", "version must not be empty"), ("kind", "must not be empty"),
                            ("name", "must not be empty"), ("uid", "must not be empty")):
            if not reference.get(field):
                causes.invalid(f"{path}.{field}", reference.get(field, ""), text)
        if (reference.get("apiVersion"), reference.get("kind")) == ("v1", "Event"):
            causes.invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner")
        if reference.get("controller"):
            this = f"{reference.get('kind', '')}/{reference.get('name', '')}"
            if controller:
                causes.invalid(path, references, "Only one reference can have Controller set to true. "
                               f'Found "true" in references for {controller} and {this}')
            controller = controller or this


def label_selector(selector: Obj, path: str, causes: Causes) -> None:
    if "matchLabels" in selector:
        labels(selector["matchLabels"], f"{path}.matchLabels", causes)
    for index, expression in enumerate(selector.get("matchExpressions", ())):
        at, operator = f"{path}.matchExpressions[{index}]", expression.get("operator", "")
        values = expression.get("values", ())
        if operator in ("In", "NotIn"):
            if not values:
                causes.required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                causes.forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        else:
            causes.invalid(f"{at}.operator", operator, "not a valid selector operator")
        key = expression.get("key", "")
        causes.each_invalid(f"{at}.key", key, names.qualified_name(key))
        for place, value in enumerate(values):
            causes.each_invalid(f"{at}.values[{place}]", value, names.label_value(value))


def is_empty(selector: Obj) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def port_or_name(value: Any, path: str, causes: Causes) -> None:
    """A port by number, or by the name that a container gives it."""
    check: Callable[[Any], names.Wrong] = names.port_number if isinstance(value, int) else names.port_name
    causes.each_invalid(path, value, check(value))
