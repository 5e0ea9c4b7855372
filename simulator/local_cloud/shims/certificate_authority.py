"""Read the certificate authority's key once instead of once per device.

Loading an RSA key from PEM validates it, which takes 50 ms: ten seconds for the certificates of 200 gateways.
"""

from __future__ import annotations

import functools
from typing import Any

from simulator.local_cloud.guard import Hook

_X509 = "ministack.core.x509_utils"
HOOKS = (
    Hook(_X509, "sign_certificate_request", "(ca_cert_pem: 'str', ca_key_pem: 'str', csr_pem: 'str') -> 'str'"),
    Hook(_X509, "_require_crypto", "() -> 'None'"),
    Hook(_X509, "serialization"),
)


class _RememberingSerialization:
    """`cryptography`'s serialization module, except that a private key is parsed once."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.load_pem_private_key = functools.lru_cache(maxsize=4)(module.load_pem_private_key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def install() -> None:
    """Put the remembering module where MiniStack looks it up."""
    from ministack.core import x509_utils  # noqa: PLC0415

    x509_utils._require_crypto()  # sets the module's names, once
    x509_utils.serialization = _RememberingSerialization(x509_utils.serialization)
