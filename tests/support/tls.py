"""A certificate for 127.0.0.1 of an authority that nobody knows."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


def server_context(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return what a server needs, and the query of a ``rediss://`` URL that trusts it; its file is in ``folder``."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return context, f"ssl_ca_certs={folder / 'ca.pem'}"
