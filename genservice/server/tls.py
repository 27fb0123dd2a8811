"""Certificates."""

import ssl

import grpc

from genservice.errors import SettingsError
from genservice.server.settings import TlsSettings


def server_credentials(settings: TlsSettings) -> grpc.ServerCredentials:
    """Reads the certificates.

    Args:
        settings: Where they are.

    Returns:
        Credentials that ask clients for a certificate where `client_ca` is set.

    Raises:
        SettingsError: A file cannot be read, is not PEM, or the key is of another certificate.
    """
    # gRPC says of a bad file no more than that the port could not be opened; the standard library says why.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.certificate, settings.private_key, password=_no_password)
    except (OSError, ValueError) as fault:
        raise SettingsError(
            f"The settings tls.certificate and tls.private_key, {settings.certificate} and {settings.private_key}, "
            f"cannot be used: {fault}."
        ) from fault
    authorities: bytes | None = None
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
            authorities = settings.client_ca.read_bytes()
        except (OSError, ValueError) as fault:
            raise SettingsError(f"The setting tls.client_ca, {settings.client_ca}, cannot be used: {fault}.") from fault
    return grpc.ssl_server_credentials(
        [(settings.private_key.read_bytes(), settings.certificate.read_bytes())],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )


def _no_password() -> str:
    # Without this, OpenSSL asks the terminal, and a server would wait for ever.
    raise ValueError("the private key is encrypted")
