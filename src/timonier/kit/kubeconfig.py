"""Where the API server is and who we are there: kubeconfig files, in-cluster credentials, and writing a context.

A file is looked up as kubectl does: an explicit path, else the files of `$KUBECONFIG`, else `~/.kube/config`. Where
several files name the same cluster, user or context, the first wins.
Source: Kubernetes docs, "Organizing Cluster Access Using kubeconfig Files".
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from timonier.kit.fatal import CannotRun, sentence

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}
"""A kubeconfig's lists, and the field in which each entry of one has what it says."""
FILES = frozenset({"certificate-authority", "client-certificate", "client-key", "tokenFile"})
TEXTS = FILES | {f"{name}-data" for name in FILES} | {"server", "token", "tls-server-name", "namespace", "cluster",
                                                      "user"}
"""Fields that are text where they are set."""


class ConfigError(CannotRun, ValueError):
    """A kubeconfig that cannot be used; the message says which file or entry and why."""


@dataclass(frozen=True)
class ClientConfig:
    """How to reach one API server as one identity. Files are read when they are needed, so they may be renewed."""

    server: str
    certificate_authority: bytes = b""
    """PEM of the CA; empty means the machine's own trust store."""
    client_certificate: bytes = b""
    """PEM of the client's certificate, with `client_key`."""
    client_key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    """Read again whenever it changes; wins over `token`."""
    insecure: bool = False
    server_name: str = ""
    """Verified instead of the host of `server`."""
    namespace: str = "default"

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS for https servers; None for plain http. Raises ConfigError for certificates that do not load."""
        if not self.server.startswith("https:"):
            return None
        authority = self.certificate_authority.decode("ascii", "replace") or None
        try:
            context = ssl.create_default_context(cadata=authority)
            if self.insecure:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if self.client_certificate:
                with key_pair_file(self.client_certificate, self.client_key) as path:
                    context.load_cert_chain(path, password="")  # never asks on a terminal
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(f"certificates for {self.server} cannot be loaded: {error}") from error
        return context


@contextlib.contextmanager
def key_pair_file(certificate: bytes, key: bytes) -> Iterator[str]:
    """A private file that holds both for as long as ssl, which only takes paths, reads them."""
    with tempfile.NamedTemporaryFile(prefix="timonier-", suffix=".pem") as file:  # created 0600
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        yield file.name


def load(path: Path | str | None = None, context: str = "") -> ClientConfig:
    """The config of a context (the current one by default). Raises ConfigError."""
    merged = read_merged([Path(path)] if path else default_paths())
    chosen = context or merged["current-context"]
    if not chosen:
        raise ConfigError("no current context is set in the kubeconfig")
    if chosen not in merged["contexts"]:
        raise ConfigError(f'context "{chosen}" does not exist')
    entry = merged["contexts"][chosen]
    cluster = merged["clusters"].get(entry.get("cluster", ""))
    if cluster is None:
        raise ConfigError(f'context "{chosen}" names cluster "{entry.get("cluster", "")}", which does not exist')
    user = merged["users"].get(entry.get("user", ""), {})
    return config_of(cluster, user, entry.get("namespace") or "default")


def config_of(cluster: dict[str, Any], user: dict[str, Any], namespace: str) -> ClientConfig:
    server = cluster.get("server") or ""
    if not re.fullmatch(r"https?://(\[[0-9A-Fa-f:.]+\]|[^/:@\s]+)(:[0-9]{1,5})?(/\S*)?", server):
        raise ConfigError(f"the kubeconfig's cluster has no server to speak to: {server!r} is not an http(s) address")
    token_file = user.get("tokenFile")
    return ClientConfig(
        server=server.rstrip("/"),
        certificate_authority=inline_or_file(cluster, "certificate-authority"),
        client_certificate=inline_or_file(user, "client-certificate"),
        client_key=inline_or_file(user, "client-key"),
        token=user.get("token", ""), token_file=Path(token_file) if token_file else None,
        insecure=bool(cluster.get("insecure-skip-tls-verify")), server_name=cluster.get("tls-server-name", ""),
        namespace=namespace)


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> ClientConfig:
    """The config of a process in a pod, from its environment and its service account's volume."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise ConfigError("not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    if ":" in host:
        host = f"[{host}]"
    try:
        namespace = (folder / "namespace").read_text().strip() if (folder / "namespace").exists() else "default"
        return ClientConfig(f"https://{host}:{port}", certificate_authority=(folder / "ca.crt").read_bytes(),
                            token_file=folder / "token", namespace=namespace)
    except OSError as error:
        raise ConfigError(f"cannot read the service account of this pod: {error}") from error


def default_paths() -> list[Path]:
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path.home() / ".kube" / "config"]


def read_merged(paths: list[Path]) -> dict[str, Any]:
    """All entries by kind and name, the first file's winning; relative file names are those of their own file."""
    merged: dict[str, Any] = {"clusters": {}, "users": {}, "contexts": {}, "current-context": ""}
    found = [path for path in paths if is_there(path)]
    if not found:
        raise ConfigError(f"no kubeconfig: {', '.join(map(str, paths))} does not exist; name one that does with "
                          "--kubeconfig or $KUBECONFIG")
    for path in found:
        document = read(path)
        merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
        for section, content in SECTIONS.items():
            for entry in document.get(section) or []:
                resolved = absolute(entry.get(content) or {}, path.parent)
                merged[section].setdefault(entry["name"], resolved)
    return merged


def is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a folder on the way may not be looked into
        raise ConfigError(f"cannot read kubeconfig {sentence(error)}") from error


def read(path: Path) -> dict[str, Any]:
    """One kubeconfig file as it stands, with the shape of one. Raises ConfigError."""
    try:
        document = yaml.load(path.read_text(), Loader=Loader)
    except OSError as error:
        raise ConfigError(f"cannot read kubeconfig {sentence(error)}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"kubeconfig {path} is damaged: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    check_shape(document, path)
    return document  # type: ignore[no-any-return]


def check_shape(document: Any, path: Path) -> None:
    """Raise ConfigError where a kubeconfig is not made as one is; what its entries say is looked at when it is used."""
    if not isinstance(document, dict):
        raise ConfigError(f"kubeconfig {path} is not a mapping")
    if not isinstance(document.get("current-context") or "", str):
        raise ConfigError(f"kubeconfig {path}: current-context is not a name")
    for section, content in SECTIONS.items():
        entries = document.get(section) or []
        if not isinstance(entries, list):
            raise ConfigError(f"kubeconfig {path}: {section} is not a list")
        for entry in entries:
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise ConfigError(f"kubeconfig {path}: an entry of {section} has no name")
            fields = entry.get(content) or {}
            if not isinstance(fields, dict) or not all(isinstance(fields.get(key), str | None) for key in TEXTS):
                raise ConfigError(f"kubeconfig {path}: {content} \"{entry['name']}\" is damaged")


def absolute(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {key: str(folder / value) if key in FILES and value else value for key, value in entry.items()}


def inline_or_file(entry: dict[str, Any], key: str) -> bytes:
    """The bytes of `key-data`, which wins, or of the file `key`."""
    try:
        if entry.get(f"{key}-data"):
            return base64.b64decode(entry[f"{key}-data"], validate=True)
        return Path(entry[key]).read_bytes() if entry.get(key) else b""
    except ValueError as error:
        raise ConfigError(f"{key}-data of the kubeconfig is not base64") from error
    except OSError as error:
        raise ConfigError(f"cannot read {key} of the kubeconfig: {sentence(error)}") from error


def save(path: Path, name: str, config: ClientConfig, *, make_current: bool = True) -> None:
    """Write a context with its cluster and user, all called `name`, leaving every other entry as it is."""
    document = read(path) if is_there(path) else {}
    document.setdefault("apiVersion", "v1")
    document.setdefault("kind", "Config")
    cluster: dict[str, Any] = {"server": config.server}
    if config.certificate_authority:
        cluster["certificate-authority-data"] = base64.b64encode(config.certificate_authority).decode()
    if config.insecure:
        cluster["insecure-skip-tls-verify"] = True
    if config.server_name:
        cluster["tls-server-name"] = config.server_name
    user: dict[str, Any] = {}
    if config.client_certificate:
        user["client-certificate-data"] = base64.b64encode(config.client_certificate).decode()
        user["client-key-data"] = base64.b64encode(config.client_key).decode()
    if config.token:
        user["token"] = config.token
    if config.token_file:
        user["tokenFile"] = str(config.token_file)
    context = {"cluster": name, "user": name}
    if config.namespace != "default":
        context["namespace"] = config.namespace
    for section, key, content in (("clusters", "cluster", cluster), ("users", "user", user),
                                  ("contexts", "context", context)):
        others = [entry for entry in document.get(section) or [] if entry.get("name") != name]
        document[section] = [*others, {"name": name, key: content}]
    if make_current:
        document["current-context"] = name
    document.setdefault("current-context", "")
    write(path, document)


def remove(path: Path, name: str) -> None:
    """Take out what `save` wrote; the current context is unset where it was this one."""
    if not is_there(path):
        return
    document = read(path)
    for section in ("clusters", "users", "contexts"):
        document[section] = [entry for entry in document.get(section) or [] if entry.get("name") != name]
    if document.get("current-context") == name:
        document["current-context"] = ""
    write(path, document)


def write(path: Path, document: dict[str, Any]) -> None:
    """Replace the file in one step, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.resolve()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            yaml.safe_dump(document, file, sort_keys=False)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
