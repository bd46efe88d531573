"""Where volumes come from, of pods and of PersistentVolumes alike: each source by its own rules.

Most sources only demand some fields; `REQUIRED` says which, in order. Those with more to say are functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from timonier.api import names, quantity
from timonier.api.validation.causes import Causes, Obj
from timonier.api.validation.paths import local_path, no_backsteps

Source = Callable[[Obj, str, Causes], None]

ONE_ONLY = "may not specify more than 1 volume type"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
PARTITION = "must be between 0 and 255, inclusive"
HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
HOST_PORTS = "must be a host:port pair or multiple pairs separated by commas"
CACHING, DISKS = ("None", "ReadOnly", "ReadWrite"), ("Dedicated", "Managed", "Shared")
MANAGED_DISK = ("/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",)
BLOB_DISK = ("https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",)
INITIATORS = {"iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([a-zA-Z0-9-.]+)(:[^,;*&$|\s]+)"),
              "eui": re.compile("eui.[0-9A-Fa-f]{16}"), "naa": re.compile("naa.[0-9A-Fa-f]{32}")}
LONGEST_PORTAL = 64
PORTAL_TEXT = ("Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName "
               "is specified.")

REQUIRED: dict[str, tuple[str, ...]] = {
    "gcePersistentDisk": ("pdName",), "awsElasticBlockStore": ("volumeID",), "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"), "persistentVolumeClaim": ("claimName",), "rbd": ("monitors", "image"),
    "cinder": ("volumeID",), "cephfs": ("monitors",), "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",), "photonPersistentDisk": ("pdID",), "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"), "scaleIO": ("gateway", "system", "volumeName"), "nfs": ("server", "path"),
    "iscsi": ("targetPortal",), "image": (),
}
ORDER = ("emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
         "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
         "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
         "storageos", "projected", "scaleIO", "csi", "ephemeral", "image", "local")
"""In which sources are looked at: of two, the later one is the one too many."""
SHOWN = {"gcePersistentDisk": "persistentDisk"}
"""Sources that errors call by another name."""
PLACES = {name: place for place, name in enumerate(ORDER)}


def each_source(volume: Obj, path: str, causes: Causes) -> Iterator[str]:
    """The source of a volume; a cause for each further one, or where there is none."""
    found = [field for field in volume if field in PLACES]
    if len(found) == 1:
        yield found[0]
        return
    for index, kind in enumerate(sorted(found, key=PLACES.__getitem__)):
        if index:
            causes.forbidden(f"{path}.{kind}", ONE_ONLY)
        else:
            yield kind
    if not found:
        causes.required(path, "must specify a volume type")


def source(kind: str, given: Obj, volume: str, causes: Causes) -> None:
    """What is wrong with the source of a volume, which is at the path `volume`."""
    path = f"{volume}.{SHOWN.get(kind, kind)}"
    causes.required_fields(given, path, *REQUIRED.get(kind, ()))
    if rule := RULES.get(kind):
        rule(given, path, causes)


def mode(given: Obj, field: str, path: str, causes: Causes) -> None:
    value = given.get(field)
    if value is not None and not 0 <= value <= 0o777:
        causes.invalid(f"{path}.{field}", value, MODE)


def empty_dir(given: Obj, path: str, causes: Causes) -> None:
    if quantity.read(given.get("sizeLimit", "0"))[0] < 0:
        causes.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def host_path(given: Obj, path: str, causes: Causes) -> None:
    if not given.get("path"):
        causes.required(f"{path}.path")
        return
    no_backsteps(given["path"], f"{path}.path", causes)
    causes.optional(given, path, "type", HOST_PATH_TYPES)


def git_repo(given: Obj, path: str, causes: Causes) -> None:
    local_path(given.get("directory", ""), f"{path}.directory", causes)


def partition(given: Obj, path: str, causes: Causes) -> None:
    if not 0 <= given.get("partition", 0) <= 255:
        causes.invalid(f"{path}.partition", given["partition"], PARTITION)


def nfs(given: Obj, path: str, causes: Causes) -> None:
    if not given.get("path", "").startswith("/"):
        causes.invalid(f"{path}.path", given.get("path", ""), "must be an absolute path")


def logical_unit(given: Obj, path: str, causes: Causes) -> None:
    causes.each_invalid(f"{path}.lun", given.get("lun", 0), names.in_range(given.get("lun", 0), 0, 255))


def iscsi(given: Obj, path: str, causes: Causes) -> None:
    if not given.get("iqn"):
        causes.required(f"{path}.iqn")
    else:
        initiator(given["iqn"], f"{path}.iqn", causes)
    logical_unit(given, path, causes)
    if (given.get("chapAuthDiscovery") or given.get("chapAuthSession")) and "secretRef" not in given:
        causes.required(f"{path}.secretRef")
    if "initiatorName" in given:
        initiator(given["initiatorName"], f"{path}.initiatorname", causes)


def initiator(name: str, path: str, causes: Causes) -> None:
    form = INITIATORS.get(name[:3])
    if form is None:
        causes.invalid(path, name, "must be valid format starting with iqn, eui, or naa")
    elif not form.fullmatch(name):
        causes.invalid(path, name, "must be valid format")


def too_long_portal(given: Obj, name: str) -> bool:
    """Whether an iSCSI volume's name and portal are too long together."""
    return "initiatorName" in given and len(f"{name}:{given.get('targetPortal', '')}") > LONGEST_PORTAL


def flocker(given: Obj, path: str, causes: Causes) -> None:
    name, uid = given.get("datasetName", ""), given.get("datasetUUID", "")
    if not name and not uid:
        causes.required(path, "one of datasetName and datasetUUID is required")
    if name and uid:
        causes.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        causes.invalid(f"{path}.datasetName", name, "must not contain '/'")


def quobyte(given: Obj, path: str, causes: Causes) -> None:
    registry = given.get("registry", "")
    if not registry:
        causes.required(f"{path}.registry", HOST_PORTS)
    elif len(given.get("tenant", "")) >= 65:
        causes.required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in registry.split(","):
            if not re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:]*", pair):
                causes.invalid(f"{path}.registry", registry, HOST_PORTS)
    causes.required_fields(given, path, "volume")


def fibre_channel(given: Obj, path: str, causes: Causes) -> None:
    targets, ids = given.get("targetWWNs", []), given.get("wwids", [])
    if not targets and not ids:
        causes.required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if targets and ids:
        causes.invalid(f"{path}.targetWWNs", targets, "targetWWNs and wwids can not be specified simultaneously")
    if targets and "lun" not in given:
        causes.required(f"{path}.lun", "lun is required if targetWWNs is specified")
    elif targets:
        logical_unit(given, path, causes)


def flex_volume(given: Obj, path: str, causes: Causes) -> None:
    for key in given.get("options", ()):
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            causes.invalid(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved")


def azure_disk(given: Obj, path: str, causes: Causes) -> None:
    kind, uri = given.get("kind"), given.get("diskURI", "")
    causes.optional(given, path, "cachingMode", CACHING)
    causes.optional(given, path, "kind", DISKS)
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        causes.unsupported(f"{path}.diskURI", uri, MANAGED_DISK)
    elif kind is not None and kind != "Managed" and not uri.startswith("https://"):
        causes.unsupported(f"{path}.diskURI", uri, BLOB_DISK)


def secret_ref(given: Obj, path: str, causes: Causes) -> None:
    if "secretRef" in given:
        causes.required_fields(given["secretRef"], f"{path}.secretRef", "name")


def csi(given: Obj, path: str, causes: Causes) -> None:
    causes.required_name(given, path, "driver", names.csi_driver)
    reference = given.get("nodePublishSecretRef")
    if reference is not None and not reference.get("name"):
        causes.required(f"{path}.nodePublishSecretRef.name")


def local(given: Obj, path: str, causes: Causes) -> None:
    if not given.get("path"):
        causes.required(f"{path}.path")
    else:
        no_backsteps(given["path"], f"{path}.path", causes)


def image(given: Obj, path: str, causes: Causes) -> None:
    """The reference may still be missing in a template, whose pods a controller makes."""
    causes.optional(given, path, "pullPolicy", ("Always", "IfNotPresent", "Never"))


RULES: dict[str, Source] = {
    "emptyDir": empty_dir, "hostPath": host_path, "gitRepo": git_repo, "gcePersistentDisk": partition,
    "awsElasticBlockStore": partition, "nfs": nfs, "iscsi": iscsi, "flocker": flocker, "quobyte": quobyte,
    "fc": fibre_channel, "flexVolume": flex_volume, "azureDisk": azure_disk, "cinder": secret_ref, "csi": csi,
    "local": local, "image": image,
}
