"""_transport/tls.py: the operating system's certificates, SSL_CERT_FILE and SSL_CERT_DIR."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from rawserver import RawServer, raw_server

from conftest import COMPLETION
from langchain_hf_inference import APIConnectionError, ChatHFInference, ConfigurationError
from langchain_hf_inference._transport import tls

BODY = json.dumps(COMPLETION).encode()
AUTHORITY = trustme.CA()


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A TLS server whose certificate a private authority has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    with raw_server(tls=context) as running:
        running.act = running.replying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY))
        yield running


@pytest.fixture(autouse=True)
def _fresh_context(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    tls._context.cache_clear()
    yield
    tls._context.cache_clear()


def answers(server: RawServer, **arguments: Any) -> list[str]:
    """Return the answers of a synchronous and an asynchronous call, by each backend."""
    url = server.url.replace("http:", "https:")
    found = []
    for http_backend in ("httpx", "aiohttp"):
        model = ChatHFInference(
            endpoint_url=url, model="m", engine="openai", max_retries=0, http_backend=http_backend, **arguments
        )
        try:
            found += [model.invoke("Hello").text, asyncio.run(model.ainvoke("Hello")).text]
        finally:
            model.close()  # what is pooled keeps the certificates that it was created with
    return found


def test_cert_file(server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private authority in SSL_CERT_FILE is trusted; without it, it is not."""
    with pytest.raises(APIConnectionError, match=r"(?i)certificate.verify.failed"):
        answers(server)
    bundle = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert answers(server) == ["Hi"] * 4


def test_cert_directory(server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private authority in SSL_CERT_DIR is trusted."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    try:
        subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no openssl command")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert answers(server) == ["Hi"] * 4


def test_the_systems_store(server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An authority that a company has installed in the operating system's store is trusted, and certifi is not asked."""
    bundle = tmp_path / "ca-certificates.crt"
    AUTHORITY.cert_pem.write_to_path(bundle)
    paths = ssl.DefaultVerifyPaths(str(bundle), None, "SSL_CERT_FILE", str(bundle), "SSL_CERT_DIR", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(
        ssl.SSLContext, "set_default_verify_paths", lambda self: self.load_verify_locations(str(bundle))
    )
    monkeypatch.setattr(tls.backend, "create_ssl_context", lambda **_: pytest.fail("certifi was asked"))
    if sys.platform == "linux":
        assert answers(server) == ["Hi"] * 4


@pytest.mark.skipif(sys.platform != "linux", reason="the paths of Linux")
@pytest.mark.parametrize("known", [True, False])
def test_a_python_with_other_paths(known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenSSL's own paths hold nothing, the system's bundle is looked for; where there is none, certifi's serves."""
    bundle = tmp_path / "bundle.pem"
    if known:
        AUTHORITY.cert_pem.write_to_path(bundle)
    paths = ssl.DefaultVerifyPaths(None, str(tmp_path), "SSL_CERT_FILE", "", "SSL_CERT_DIR", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", lambda self: None)
    monkeypatch.setattr(tls, "SYSTEM_BUNDLES", (str(bundle),))
    assert (tls.tls_context().cert_store_stats()["x509_ca"] == 1) is known
    assert tls.tls_context().cert_store_stats()["x509_ca"] >= 1


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_truststore(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows truststore asks the system to verify."""
    truststore = pytest.importorskip("truststore")
    monkeypatch.setattr(sys, "platform", platform)
    assert type(tls.tls_context()) is truststore.SSLContext


BAD_FILES = {
    "missing": (None, r"No such file"),
    "empty": ("", r"contains no certificates|no certificate"),
    "not PEM": ("hello", r"no certificate|cannot be used"),
    "a key": ("-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----\n", r"no certificate|cannot be used"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(name: str, server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without certificates is an error that names the variable, before anything is sent."""
    text, message = BAD_FILES[name]
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"(?is)SSL_CERT_FILE=.*({message})"):
            answers(server)
    assert server.connections == 0


@pytest.mark.parametrize("made", [False, True])
def test_bad_directories(made: bool, server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that OpenSSL finds nothing in is an error that names the variable and the fix."""
    directory = tmp_path / "certificates"
    if made:
        directory.mkdir()
        AUTHORITY.cert_pem.write_to_path(directory / "authority.pem")  # not under its hash
    monkeypatch.setenv("SSL_CERT_DIR", str(directory))
    with pytest.raises(ConfigurationError, match=r"(?s)SSL_CERT_DIR=.*openssl rehash"):
        answers(server)


def test_plain_http_needs_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken SSL_CERT_FILE does not keep anyone from a server that speaks plain http."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with raw_server() as plain:
        plain.act = plain.replying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY))
        model = ChatHFInference(endpoint_url=plain.url, model="m", engine="openai")
        assert model.invoke("Hello").text == "Hi"
        assert asyncio.run(model.ainvoke("Hello")).text == "Hi"
