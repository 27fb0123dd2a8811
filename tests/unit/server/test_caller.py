"""Whose RPC it is, by certificates, addresses and metadata."""

import pytest

from genservice.engine.flow import Flow, Priority
from genservice.errors import InvalidRequest
from genservice.server.caller import Callers, address_of, enter, flow_of
from genservice.server.settings import ServerSettings

MUTUAL = {"certificate": "server.pem", "private_key": "server.key", "client_ca": "ca.pem"}


class Context:
    def __init__(self, peer="ipv4:10.0.0.7:53124", metadata=(), **certificate):
        self._peer, self._metadata, self._certificate = peer, metadata, certificate

    def peer(self):
        return self._peer

    def auth_context(self):
        return self._certificate

    def invocation_metadata(self):
        return self._metadata


def flow(context, **settings):
    enter(Callers(ServerSettings(**settings)), context)
    return flow_of(context)


@pytest.mark.parametrize(
    ("peer", "caller"),
    [
        ("ipv4:10.0.0.7:53124", "ipv4:10.0.0.7"),
        ("ipv6:%5B::1%5D:53124", "ipv6:::1"),
        ("ipv6:[2001:db8::1]:53124", "ipv6:2001:db8::1"),
        ("ipv6:%5B::ffff:10.0.0.7%5D:53124", "ipv4:10.0.0.7"),
        ("ipv6:%5Bfe80::1%25eth0%5D:53124", "ipv6:fe80::1%eth0"),
        ("ipv4:nonsense:1", "ipv4:nonsense"),
        ("unix:", "unix"),
        ("unix:/run/genservice.sock", "unix"),
        ("", ""),
    ],
)
def test_an_address_has_no_port(peer, caller):
    assert address_of(peer) == caller


def test_without_certificates_the_caller_is_its_address():
    assert flow(Context()) == Flow("ipv4:10.0.0.7", "", 1.0, Priority.NORMAL)
    # Nobody checked this certificate.
    assert flow(Context(x509_common_name=[b"alice"])).caller == "ipv4:10.0.0.7"


@pytest.mark.parametrize(
    ("certificate", "caller"),
    [
        ({"x509_common_name": [b"alice"], "x509_subject_alternative_name": [b"localhost"]}, "x509:alice"),
        ({"x509_subject_alternative_name": [b"spiffe://a/b", b"c"]}, "x509:spiffe://a/b"),
        ({"x509_common_name": [b""], "x509_subject_alternative_name": [b"c"]}, "x509:c"),
        ({}, "ipv4:10.0.0.7"),
    ],
)
def test_under_mtls_the_caller_is_the_name_in_its_certificate(certificate, caller):
    assert flow(Context(**certificate), tls=MUTUAL).caller == caller


def test_another_certificate_at_the_same_port_is_another_caller():
    callers = [flow(Context(x509_common_name=[name]), tls=MUTUAL).caller for name in (b"alice", b"bob")]
    assert callers == ["x509:alice", "x509:bob"]


def test_the_settings_give_callers_their_weights():
    weights = {"ipv4:10.0.0.7": 2.5}
    assert flow(Context(), caller_weights=weights).weight == 2.5
    assert flow(Context("ipv4:10.0.0.8:1"), caller_weights=weights).weight == 1.0


def test_metadata_names_a_share_and_a_priority():
    metadata = (("user-agent", "x"), ("genservice-caller", "tests"), ("genservice-priority", "low"))
    assert flow(Context(metadata=metadata)) == Flow("ipv4:10.0.0.7", "tests", 1.0, Priority.LOW)
    assert flow(Context(metadata=(("genservice-priority", "high"),))).priority is Priority.HIGH
    assert flow(Context(metadata=None)).priority is Priority.NORMAL


@pytest.mark.parametrize("share", ["x" * 65, "a\tb", "a\nb", "\x7f", b"bytes"])
def test_a_share_that_is_no_name_is_refused(share):
    with pytest.raises(InvalidRequest, match="64 printable") as refusal:
        flow(Context(metadata=(("genservice-caller", share),)))
    assert refusal.value.field == "metadata.genservice-caller"


@pytest.mark.parametrize("priority", ["", "urgent", "LOW", "2"])
def test_a_priority_that_is_none_is_refused_with_the_three_that_are(priority):
    with pytest.raises(InvalidRequest, match="'low', 'normal' and 'high'") as refusal:
        flow(Context(metadata=(("genservice-priority", priority),)))
    assert refusal.value.field == "metadata.genservice-priority"


@pytest.mark.parametrize("weight", [0, -1, float("inf"), float("nan")])
def test_a_weight_is_a_number_above_0(weight):
    with pytest.raises(ValueError, match="caller_weights"):
        ServerSettings(caller_weights={"unix": weight})
