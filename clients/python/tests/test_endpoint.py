import datetime as dt
import ipaddress
import json

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from genservice_client import Endpoint, KeepAlive, Limits, Tls


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("host:1", "host:1"),
        ("dns:///host:1", "dns:///host:1"),
        ("unix:/tmp/x", "unix:/tmp/x"),
        (["host:1"], "host:1"),
        (["127.0.0.1:1", "127.0.0.2:2"], "ipv4:127.0.0.1:1,127.0.0.2:2"),
        (["[::1]:1", "[::2]:2"], "ipv6:[::1]:1,[::2]:2"),
        (["localhost:1", "127.0.0.1:2"], "ipv4:127.0.0.1:1,127.0.0.1:2"),
    ],
)
def test_targets_are_written_as_grpc_reads_them(target, uri):
    assert Endpoint(target).uri() == uri


@pytest.mark.parametrize("target", [["127.0.0.1:1", "[::1]:1"], ["127.0.0.1", "127.0.0.2:2"], ["dns:///a:1", "b:2"]])
def test_targets_that_grpc_cannot_reach_together_are_refused(target):
    with pytest.raises(ValueError, match=r"target|host:port"):
        Endpoint(target).uri()


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="empty"):
        Endpoint("")
    with pytest.raises(ValueError, match="server_name"):
        Endpoint(["127.0.0.1:1", "127.0.0.1:2"], tls=Tls())
    with pytest.raises(ValueError, match="at least 1"):
        Limits(max_request_rows=0)


def test_the_channel_goes_round_and_leaves_retries_to_the_sdk():
    options = dict(
        Endpoint("a:1", keepalive=KeepAlive(interval_s=5, timeout_s=1), tls=Tls(server_name="x")).channel_options()
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
