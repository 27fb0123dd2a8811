import datetime as dt
import ipaddress
import json

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from genservice_client import Endpoint, KeepAlive, Limits, Tls
from genservice_client.endpoint import Address, addresses_of, name_in


@pytest.mark.parametrize(
    ("target", "targets"),
    [
        ("host:1", ["host:1"]),
        ("host", ["host"]),
        ("dns:///host:1", ["dns:///host:1"]),
        ("unix:/tmp/x,y", ["unix:/tmp/x,y"]),
        ("a:1, b:2", ["a:1", "b:2"]),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", ["10.0.0.1:1", "10.0.0.2:2"]),
        ("ipv6:[::1]:1", ["[::1]:1"]),
        (("a:1", "[::1]:1", "unix:/tmp/x"), ["a:1", "[::1]:1", "unix:/tmp/x"]),
    ],
)
def test_each_target_is_one_of_a_sequence(target, targets):
    assert list(Endpoint(target).targets()) == targets


@pytest.mark.parametrize("target", [["127.0.0.1", "127.0.0.2:2"], ["a:1", "http://b:2"], "a:1,b", ["a:1", "b:x"]])
def test_several_targets_each_need_a_port(target):
    with pytest.raises(ValueError, match="host:port"):
        Endpoint(target)


@pytest.mark.parametrize("target", ["", [], [""], "a:1,", ["a:1", ""]])
def test_an_empty_target_is_refused(target):
    with pytest.raises(ValueError, match="empty"):
        Endpoint(target)


@pytest.mark.parametrize("name", ["max_request_rows", "max_request_bytes", "part_rows", "read_ahead_bytes"])
def test_limits_are_at_least_one(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        Limits(**{name: 0})


@pytest.mark.parametrize("share", ["x" * 65, "ä", "a\nb"])
def test_a_share_that_metadata_cannot_carry_is_refused(share):
    with pytest.raises(ValueError, match="caller_share"):
        Endpoint("a:1", caller_share=share)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("host:1", ("host", 1)),
        ("dns:///host:1", ("host", 1)),
        ("127.0.0.1:1", None),
        ("[::1]:1", None),
        ("host", None),
        ("unix:/tmp/x", None),
        ("dns://8.8.8.8/host:1", None),
    ],
)
def test_names_are_told_from_addresses(target, name):
    assert name_in(target) == name


@pytest.mark.parametrize(
    ("found", "uris"),
    [
        ([], ["dns:///host:1"]),
        (["10.0.0.1"], ["dns:///host:1"]),
        (["::1", "127.0.0.1"], ["dns:///host:1"]),  # one machine, by both protocols
        (["::1", "10.0.0.1", "10.0.0.2"], ["10.0.0.1:1", "10.0.0.2:1"]),
        (["fd00::1", "fd00::2"], ["[fd00::1]:1", "[fd00::2]:1"]),
    ],
)
def test_several_addresses_of_one_kind_are_several_replicas(found, uris):
    assert [address.uri for address in addresses_of("dns:///host:1", found)] == uris


def test_a_certificate_is_for_the_name_that_was_looked_up():
    endpoint = Endpoint("host:1", tls=Tls())
    options = [dict(endpoint.channel_options(address)) for address in addresses_of("host:1", ["10.0.0.1", "10.0.0.2"])]
    assert [option["grpc.ssl_target_name_override"] for option in options] == ["host", "host"]


def test_the_channel_goes_round_and_leaves_retries_to_the_sdk():
    options = dict(
        Endpoint("a:1", keepalive=KeepAlive(interval_s=5, timeout_s=1), tls=Tls(server_name="x")).channel_options(
            Address("a:1")
        )
    )
    assert json.loads(options["grpc.service_config"]) == {"loadBalancingConfig": [{"round_robin": {}}]}
    assert options["grpc.enable_retries"] == 0
    assert (options["grpc.keepalive_time_ms"], options["grpc.keepalive_timeout_ms"]) == (5000, 1000)
    assert options["grpc.max_receive_message_length"] == 256 * 2**20
    assert options["grpc.ssl_target_name_override"] == "x"


@pytest.fixture(scope="module")
def certificate():
    """A key and a certificate that vouches for itself, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "genservice.test")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("genservice.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, signed.public_bytes(serialization.Encoding.PEM)


async def test_both_sides_prove_who_they_are(side, another_service, certificate, tmp_path):
    key, chain = certificate
    credentials = grpc.ssl_server_credentials([(key, chain)], root_certificates=chain, require_client_auth=True)
    first, second = another_service(credentials), another_service(credentials)
    (tmp_path / "key.pem").write_bytes(key)
    tls = Tls(
        root_certificates=chain,
        private_key=tmp_path / "key.pem",
        certificate_chain=chain,
        server_name="genservice.test",
    )
    client = side.client([first.target, second.target], tls=tls)
    for _ in range(4):
        assert len(await side.call(client.models())) == 2
    assert first.service.requests["ListModels"]
    assert second.service.requests["ListModels"]
