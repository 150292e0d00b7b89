"""TLS: the operating system's certificate authorities, or those that SSL_CERT_FILE and SSL_CERT_DIR name.

Companies install their own authorities in the operating system's store, and ChatOpenAI's client reads it; httpx alone
reads only certifi's bundle. On Linux, OpenSSL reads that store itself. On macOS and Windows truststore asks the
system to verify: OpenSSL knows nothing of the Keychain, and on Windows only of the certificates that were used before.
truststore is not used on Linux, where it would read the store once per connection, and let one handshake per context
run at a time. certifi's bundle is the fallback on systems without a store, such as minimal containers.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
from functools import lru_cache
from pathlib import Path

from langchain_hf_inference._transport import backend
from langchain_hf_inference.errors import ConfigurationError

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, BSD
)
"""Where systems keep their authorities, for a Python whose OpenSSL was built with other paths."""

_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def tls_context() -> ssl.SSLContext:
    """Return the process's TLS context: creating one takes 1 to 40 ms, so there is one per setting of the variables.

    Raises:
        ConfigurationError: SSL_CERT_FILE or SSL_CERT_DIR names something without certificates.
    """
    return _context(os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None)


@lru_cache(maxsize=8)
def _context(file: str | None, directory: str | None) -> ssl.SSLContext:
    if file is None and directory is None:
        return _system_context()
    if file is not None:
        _check_file(file)
    if directory is not None:
        _check_directory(directory)
    return ssl.create_default_context(cafile=file, capath=directory)


def _check_file(file: str) -> None:
    try:
        found = ssl.create_default_context(cafile=file).cert_store_stats()["x509"]
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigurationError(
            f"SSL_CERT_FILE={file!r} cannot be used: {reason}; it must name a PEM file of certificates, or be unset"
        ) from error
    if not found:
        raise ConfigurationError(
            f"SSL_CERT_FILE={file!r} contains no certificates; it must name a PEM file of certificates, or be unset"
        )


def _check_directory(directory: str) -> None:
    if not any(_has_hashed_certificates(part) for part in directory.split(os.pathsep)):
        raise ConfigurationError(
            f"SSL_CERT_DIR={directory!r} contains no certificates under hashed names; "
            "run `openssl rehash` on it, name a PEM file in SSL_CERT_FILE instead, or unset it"
        )


def _system_context() -> ssl.SSLContext:
    if sys.platform in ("darwin", "win32"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context()
    directory = ssl.get_default_verify_paths().capath
    if context.cert_store_stats()["x509_ca"] or (directory and _has_hashed_certificates(directory)):
        return context
    for bundle in SYSTEM_BUNDLES:
        if Path(bundle).is_file():
            return ssl.create_default_context(cafile=bundle)
    return backend.create_ssl_context(trust_env=False)


def _has_hashed_certificates(directory: str) -> bool:
    """Return whether OpenSSL can find certificates here: it looks them up by the hash of their subject."""
    try:
        return any(_HASHED_NAME.fullmatch(name) for name in os.listdir(directory))
    except OSError:
        return False
