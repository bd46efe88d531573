"""TLS for servers: a context that asks clients for a certificate, and lets those in whose certificate it cannot judge.

A Kubernetes server asks for a certificate without verifying it (Go's `RequestClientCert`): a client with a wrong one
gets an answer, 401, instead of a broken handshake. Python's `ssl` can ask only together with verifying, so OpenSSL's
own function is called on the context (docs/decisions/0008). Where that is not surely possible, the handshake verifies
as Python would have it. Either way **a certificate proves no more than that the client has its key**: whoever believes
what it says has it verified first, with `kit.trust`.
"""

from __future__ import annotations

import _ssl
import ctypes
import logging
import ssl
import sys
from pathlib import Path

from timonier.kit.fatal import CannotRun, needed

log = logging.getLogger(__name__)

KNOWN_PYTHONS = ((3, 11), (3, 14))
"""First and last CPython of which it is known that an SSLContext begins with its SSL_CTX pointer."""

MODES = {ssl.CERT_NONE: 0, ssl.CERT_REQUIRED: 3, ssl.CERT_OPTIONAL: 1}
"""Python's names for OpenSSL's verify modes: SSL_VERIFY_NONE, _PEER | _FAIL_IF_NO_PEER_CERT, _PEER."""

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
GO_ON = Callback(lambda store, argument: 1)
"""What OpenSSL calls instead of verifying a chain. Lives as long as the process, since contexts point to it."""


def server_context(certificate: Path, key: Path, *clients: Path) -> ssl.SSLContext:
    """TLS for a server with its certificate. With `clients`, the CAs of clients, these are asked for a certificate.

    Raises CannotRun where a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context, certificate, key, *clients)
    context.set_alpn_protocols(["http/1.1"])
    if clients:
        context.verify_mode = ssl.CERT_OPTIONAL
        if not leave_verifying_to_us(context):
            log.info("clients with a foreign certificate will see a broken handshake, for this Python's ssl is unknown",
                     extra={"python": sys.version.split()[0], "openssl": ssl.OPENSSL_VERSION})
    return context


def check_pair(certificate: Path, key: Path) -> None:
    """Raise CannotRun where a certificate and its key cannot be used."""
    load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)


def load(context: ssl.SSLContext, certificate: Path, key: Path, *clients: Path) -> None:
    for file in (certificate, key, *clients):
        with needed("cannot read certificates"):
            file.open("rb").close()
    try:
        context.load_cert_chain(certificate, key, password="")  # never asks on a terminal
    except ssl.SSLError as error:
        raise CannotRun(f"{certificate} and {key} are not a certificate and its key (PEM): {error}") from error
    for file in clients:
        try:
            context.load_verify_locations(file)
        except ssl.SSLError as error:
            raise CannotRun(f"{file} holds no certificates (PEM): {error}") from error


def leave_verifying_to_us(context: ssl.SSLContext) -> bool:
    """Have a server's context take any certificate of which the client has the key; whether that could be done."""
    library = openssl()
    if library is None:
        return False
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if not is_context(library, pointer, context):
        return False
    library.SSL_CTX_set_cert_verify_callback(pointer, GO_ON, None)
    return True


def openssl() -> ctypes.CDLL | None:
    """The OpenSSL that Python's `ssl` itself calls, with the functions needed here; None where it is not surely that.

    Symbols are looked up through the extension module, so in the libraries that it is linked with and no others.
    """
    if sys.implementation.name != "cpython" or not KNOWN_PYTHONS[0] <= sys.version_info[:2] <= KNOWN_PYTHONS[1]:
        return None
    extension = getattr(_ssl, "__file__", None)
    if extension is None:  # linked into the interpreter
        return None
    try:
        library = ctypes.CDLL(extension)
        library.OpenSSL_version_num.restype = ctypes.c_ulong
        library.SSL_CTX_get_options.argtypes, library.SSL_CTX_get_options.restype = [ctypes.c_void_p], ctypes.c_uint64
        library.SSL_CTX_get_verify_mode.argtypes = [ctypes.c_void_p]
        library.SSL_CTX_set_cert_verify_callback.argtypes = [ctypes.c_void_p, Callback, ctypes.c_void_p]
        library.SSL_CTX_set_cert_verify_callback.restype = None
    except (OSError, AttributeError):
        return None
    return library if library.OpenSSL_version_num() == ssl.OPENSSL_VERSION_NUMBER else None


def is_context(library: ctypes.CDLL, pointer: ctypes.c_void_p, context: ssl.SSLContext) -> bool:
    """Whether a pointer is that of a context: what Python sets on the one, OpenSSL reads from the other."""
    if not pointer.value or library.SSL_CTX_get_options(pointer) != context.options & 0xFFFF_FFFF_FFFF_FFFF:
        return False
    before = context.verify_mode
    try:
        for mode, number in MODES.items():
            context.verify_mode = mode
            if library.SSL_CTX_get_verify_mode(pointer) != number:
                return False
    finally:
        context.verify_mode = before
    return True
