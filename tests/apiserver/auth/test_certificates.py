"""Client certificates become users."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from support.certificates import HOUR, authority, make

from timonier.api.errors import Unauthorized
from timonier.apiserver.auth.authenticate import NOBODY, Authenticator
from timonier.apiserver.auth.bearers import Bearers
from timonier.apiserver.auth.certificates import UID_ATTRIBUTE
from timonier.apiserver.request import Request, parse
from timonier.kit.clock import FakeClock
from timonier.kit.trust import Authorities

CA = authority(FakeClock().now())


def certificate(clock, *attributes):
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    return make(clock.now(), name, CA).der


async def user_of(clock, der):
    authenticator = Authenticator(clock, Bearers([]), [], Authorities([CA.certificate]))
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


async def test_a_certificate_that_runs_out_on_an_open_connection_is_refused():
    clock = FakeClock()
    der = certificate(clock, (NameOID.COMMON_NAME, "ann"))
    await clock.advance(HOUR + 1)
    with pytest.raises(Unauthorized):
        await user_of(clock, der)
