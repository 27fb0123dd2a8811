"""TLS and mTLS with certificates made here."""

import grpc
import pytest
from authority import Authority
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from genservice.engine.flow import Flow
from genservice.errors import SettingsError
from genservice.v1.classification_pb2 import ClassifyRequest
from genservice.v1.models_pb2 import ListModelsRequest


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def certified(authority):
    certificate, key = authority.issue("server")
    return {"certificate": certificate, "private_key": key}


def credentials_of(authority, client=None):
    root = authority.certificate.read_bytes()
    if client is None:
        return grpc.ssl_channel_credentials(root)
    certificate, key = client
    return grpc.ssl_channel_credentials(root, key.read_bytes(), certificate.read_bytes())


async def test_a_client_that_trusts_the_authority_is_served(serve, authority, certified):
    async with serve(tls=certified, credentials=credentials_of(authority)) as running:
        assert (await running.models.ListModels(ListModelsRequest())).models


async def test_a_client_without_encryption_is_not_served(serve, certified, refused):
    async with serve(tls=certified) as running:
        refusal = await refused(running.models.ListModels(ListModelsRequest()))
        assert refusal.code == grpc.StatusCode.UNAVAILABLE


async def test_under_mtls_a_client_needs_a_certificate(serve, authority, certified, refused):
    tls = {**certified, "client_ca": authority.certificate}
    async with serve(tls=tls, credentials=credentials_of(authority)) as running:
        refusal = await refused(running.models.ListModels(ListModelsRequest()))
        assert refusal.code == grpc.StatusCode.UNAVAILABLE
    async with serve(tls=tls, credentials=credentials_of(authority, authority.issue("client"))) as running:
        assert (await running.models.ListModels(ListModelsRequest())).models


async def test_under_mtls_the_caller_is_the_name_in_its_certificate(serve, authority, certified, inputs, monkeypatch):
    tls = {**certified, "client_ca": authority.certificate}
    credentials = credentials_of(authority, authority.issue("alice"))
    async with serve(tls=tls, credentials=credentials, caller_weights={"x509:alice": 2.0}) as running:
        flows = []
        call = running.engine.call

        def seen(*args, flow, **named):
            flows.append(flow)
            return call(*args, flow=flow, **named)

        monkeypatch.setattr(running.engine, "call", seen)
        await running.classification.Classify(ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]])))
        assert flows == [Flow("x509:alice", weight=2.0)]


async def test_a_client_of_another_authority_is_not_served(serve, authority, certified, refused, tmp_path):
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").issue("client")
    tls = {**certified, "client_ca": authority.certificate}
    async with serve(tls=tls, credentials=credentials_of(authority, stranger)) as running:
        refusal = await refused(running.models.ListModels(ListModelsRequest()))
        assert refusal.code == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("broken", ["missing", "not PEM", "another key", "client_ca", "encrypted"])
async def test_a_file_that_cannot_be_used_is_a_clear_error(serve, authority, certified, tmp_path, broken):
    bad = tmp_path / "bad.pem"
    tls, setting = dict(certified), "tls.certificate"
    match broken:
        case "missing":
            tls["certificate"] = bad
        case "not PEM":
            bad.write_text("no certificate")
            tls["certificate"] = bad
        case "another key":
            tls["private_key"] = authority.issue("other")[1]
        case "client_ca":
            bad.write_text("no certificate")
            tls["client_ca"], setting = bad, "tls.client_ca"
        case "encrypted":
            key = ec.generate_private_key(ec.SECP256R1())
            bad.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.BestAvailableEncryption(b"password"),
                )
            )
            tls["private_key"] = bad
    with pytest.raises(SettingsError, match=setting):
        async with serve(tls=tls):
            pass
