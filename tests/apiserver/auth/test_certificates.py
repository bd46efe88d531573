"""Client certificates become users."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support.policy_world import World

from timonier.api.errors import Unauthorized
from timonier.apiserver.auth.authenticate import NOBODY, UID_ATTRIBUTE, Authenticator
from timonier.apiserver.request import Request, parse
from timonier.kit.clock import FakeClock

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(clock, *attributes):
    begins = datetime.datetime.fromtimestamp(clock.now() - 60, datetime.UTC)
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    return (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
            .serial_number(1).not_valid_before(begins).not_valid_after(begins + datetime.timedelta(hours=1))
            .sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER))


async def user_of(clock, der):
    authenticator = Authenticator(World(), None, "", [], clock)
    return await authenticator.authenticate(
        Request("GET", "/", {}, {}, parse("GET", "/", {}), peer_certificate=der))


async def test_common_name_is_the_user_and_organisations_are_groups():
    clock = FakeClock()
    user = await user_of(clock, certificate(clock, (NameOID.COMMON_NAME, "ann"), (NameOID.ORGANIZATION_NAME, "dev"),
                                            (NameOID.ORGANIZATION_NAME, "ops"), (UID_ATTRIBUTE, "42")))
    assert (user.name, user.groups, user.uid) == ("ann", ("dev", "ops", "system:authenticated"), "42")
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


async def test_a_certificate_without_a_name_is_nobodys():
    clock = FakeClock()
    assert await user_of(clock, certificate(clock, (NameOID.ORGANIZATION_NAME, "dev"))) == NOBODY


async def test_a_certificate_that_ran_out_on_an_open_connection_is_refused():
    clock = FakeClock()
    der = certificate(clock, (NameOID.COMMON_NAME, "ann"))
    await clock.advance(3600)
    with pytest.raises(Unauthorized):
        await user_of(clock, der)
