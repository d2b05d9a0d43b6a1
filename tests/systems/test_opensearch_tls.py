"""TLS and names that do not resolve: a clear message with the mend that fits, and never a stuck key."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from lockstep.errors import DeclarationError, LockstepError, Refused, Unreachable
from lockstep.systems.opensearch import OpenSearch, SearchIndex
from lockstep.testing.http_proxy import HttpProxy
from lockstep.testing.servers import OpenSearchHandle
from lockstep.values import Change, Fingerprint, Meta, version

AUTHORITY = trustme.CA()
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def trusted(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return str(path)


@contextlib.contextmanager
def behind_tls(server: OpenSearchHandle, certificate: trustme.LeafCert) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with HttpProxy(server.url, tls=context) as proxy:
        yield proxy.url


def failure(target: SearchIndex) -> LockstepError:
    """What a write raises; asking who it is and `check` say the same."""
    key = target.key((1,))
    with contextlib.closing(target.open(1)) as writer:
        with pytest.raises((Refused, Unreachable)) as raised:
            writer.write([Change(key, {}, Meta("m", key, Fingerprint(1), 1, version(1, 1)))])
        with pytest.raises(type(raised.value)):
            writer.identity()
    (finding,) = target.check()
    assert finding.blocks
    assert finding.mend == raised.value.remedy
    return raised.value


def test_a_certificate_of_a_named_authority_is_trusted(
    opensearch_server: OpenSearchHandle, trusted: str
) -> None:
    with behind_tls(opensearch_server, AUTHORITY.issue_cert("127.0.0.1")) as url:
        assert OpenSearch(url, verify=trusted).index("tls-no-such-index").check() == []


def test_a_certificate_that_nobody_vouches_for(opensearch_server: OpenSearchHandle) -> None:
    with behind_tls(opensearch_server, AUTHORITY.issue_cert("127.0.0.1")) as url:
        error = failure(OpenSearch(url).index("users"))
    assert isinstance(error, Refused)
    assert "verify='/path/to/ca.pem'" in error.remedy


def test_a_certificate_that_has_expired(opensearch_server: OpenSearchHandle, trusted: str) -> None:
    expired = AUTHORITY.issue_cert("127.0.0.1", not_before=PAST, not_after=PAST + dt.timedelta(days=1))
    with behind_tls(opensearch_server, expired) as url:
        error = failure(OpenSearch(url, verify=trusted).index("users"))
    assert "expired" in str(error)
    assert "Renew" in error.remedy


def test_a_certificate_for_another_host(opensearch_server: OpenSearchHandle, trusted: str) -> None:
    with behind_tls(opensearch_server, AUTHORITY.issue_cert("search.example.com")) as url:
        error = failure(OpenSearch(url, verify=trusted).index("users"))
    assert "host name" in error.remedy


def test_tls_spoken_to_a_port_without(opensearch_server: OpenSearchHandle) -> None:
    error = failure(OpenSearch(f"https://127.0.0.1:{opensearch_server.port}").index("users"))
    assert "http://" in error.remedy


def test_a_name_that_does_not_resolve() -> None:
    error = failure(OpenSearch("http://no-such-host.invalid:9200").index("users"))
    assert isinstance(error, Unreachable)
    assert "host name" in error.remedy


def test_a_file_of_authorities_that_cannot_be_read(tmp_path: Path) -> None:
    target = OpenSearch("https://127.0.0.1:1", verify=str(tmp_path / "none.pem")).index("users")
    with pytest.raises(DeclarationError, match=r"none\.pem"):
        target.open(1)
