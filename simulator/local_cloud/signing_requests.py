"""Make device keys and certificate signing requests; a program for the local cloud's interpreter.

    .venv-cloud/bin/python -m simulator.local_cloud.signing_requests NAME...

Prints a JSON list, one object per name: `{"key": PEM, "request": PEM}`. It runs there because that interpreter has
`cryptography`, which the project does not need otherwise. The keys are ECDSA P-256, which AWS IoT accepts: 200 of them
take milliseconds where 200 RSA keys take 20 s.
"""

from __future__ import annotations

import json
import sys


def signing_request(name: str) -> dict[str, str]:
    """A new private key and the signing request for it, with `name` as the common name."""
    from cryptography import x509  # noqa: PLC0415  (absent from the project's interpreter)
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return {
        "key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ).decode(),
        "request": request.public_bytes(serialization.Encoding.PEM).decode(),
    }


if __name__ == "__main__":
    json.dump([signing_request(name) for name in sys.argv[1:]], sys.stdout)
