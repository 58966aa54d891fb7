"""Certificate authorities for the bundled Java, which knows only the public ones.

Behind a site's own authority the operating system's bundle (``SSL_CERT_FILE``) is turned into a Java trust store.
"""

from __future__ import annotations

import os
from pathlib import Path


def bundled_trust_store(cache: Path) -> Path | None:
    """A PKCS12 trust store made of ``SSL_CERT_FILE`` under ``cache``; ``None`` when that variable is not set."""
    bundle = Path(os.environ.get("SSL_CERT_FILE", ""))
    if not bundle.is_file():
        return None
    store = cache / "truststore.p12"
    if not store.is_file() or store.stat().st_mtime < bundle.stat().st_mtime:
        cache.mkdir(parents=True, exist_ok=True)
        store.write_bytes(_convert(bundle.read_bytes()))
    return store


def _convert(bundle: bytes) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

    certificates = [
        PKCS12Certificate(certificate, f"authority-{number}".encode())
        for number, certificate in enumerate(x509.load_pem_x509_certificates(bundle))
    ]
    # A trust store holds no secret; Java merely insists on some password, "changeit" by custom.
    return serialize_java_truststore(certificates, BestAvailableEncryption(b"changeit"))
