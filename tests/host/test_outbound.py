"""Whom the server speaks to: URLs and addresses, by tables."""

from ipaddress import ip_address
from pathlib import Path

import pytest
from fastprocesses_host.outbound import NO_RULES, OutboundRules, is_misleading, read_headers
from fastprocesses_host.settings import Settings, SettingsError

PRIVATE = [
    *("127.0.0.1", "127.255.0.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1"),
    *("198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("168.63.129.16", "192.88.99.1"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:a9fe:a9fe", "::127.0.0.1", "fe80::1"),
    *("fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001::1"),
    *(
        "2002:0808:0808::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "100::1",
        "5f00::1",
    ),
    *("3fff::1", "fec0::1", "2606:4700::1%eth0"),
]
PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700::1111",
    "2a00:1450:4001::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_not_allowed(address: str) -> None:
    assert not NO_RULES.allows_address("example.org", ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert NO_RULES.allows_address("example.org", ip_address(address))


@pytest.mark.parametrize(
    ("host", "misleading"),
    [
        *(
            (host, True)
            for host in ("127.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001")
        ),
        *(
            (host, True)
            for host in ("1.2.3", "1.2.3.4.5", "127.0.0.1.", "a%2eb", "fe80::1%25eth0", "::zz", "a..b")
        ),
        *((host, True) for host in ("exa mple", "a\\b", "a/b", "a@b", "１２７.0.0.1", "example.0x7f")),
        *(
            (host, False)
            for host in ("127.0.0.1", "::1", "example.org", "example.org.", "a_b.internal", "1.example")
        ),
    ],
)
def test_hosts_that_look_like_something_else(host: str, misleading: bool) -> None:
    assert is_misleading(host) is misleading


def rules(**changed: object) -> OutboundRules:
    return Settings(**changed).outbound_rules  # type: ignore[arg-type]


def test_hosts_and_networks_can_be_allowed() -> None:
    some = rules(outbound_private="10.1.0.0/16, data.internal, ::1")
    assert some.allows_address("any.example", ip_address("10.1.2.3"))
    assert some.allows_address("any.example", ip_address("::ffff:10.1.2.3"))
    assert some.allows_address("any.example", ip_address("::1"))
    assert not some.allows_address("any.example", ip_address("10.2.2.3"))
    assert some.allows_address("Data.Internal.", ip_address("192.168.0.1"))
    assert not some.allows_address("evil.data.internal", ip_address("192.168.0.1"))


@pytest.mark.parametrize(
    ("changed", "scheme", "host", "port", "word"),
    [
        ({}, "https", "example.org", 443, ""),
        ({}, "http", "example.org", 8080, ""),
        ({}, "http", "example.org", 25, "port 25"),
        ({}, "ftp", "example.org", 21, "scheme ftp"),
        ({}, "file", "", 0, "scheme file"),
        ({}, "http", "", 80, "no host"),
        ({"outbound_ports": "443"}, "http", "example.org", 80, "port 80"),
        ({"outbound_schemes": "https"}, "http", "example.org", 80, "scheme http"),
        ({"outbound_hosts": "*.example.org"}, "http", "a.example.org", 80, ""),
        ({"outbound_hosts": "*.example.org"}, "http", "example.org", 80, "not speak to the host"),
        ({"outbound_hosts": "*.example.org"}, "http", "badexample.org", 80, "not speak to the host"),
        ({"outbound_hosts": "example.org"}, "http", "EXAMPLE.org.", 80, ""),
        ({"outbound_hosts": ""}, "http", "example.org", 80, "no other hosts"),
        ({"outbound_hosts": "", "outbound_private": "data.internal"}, "http", "data.internal", 80, ""),
    ],
)
def test_urls_by_rule(changed: dict[str, object], scheme: str, host: str, port: int, word: str) -> None:
    objection = rules(**changed).objection_to_url(scheme, host, port)
    assert (word in objection) if word else not objection


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("outbound_hosts", value) for value in ("https://example.org", "a b", "exa*mple")),
        *(("outbound_private", value) for value in ("10.0.0.0/99", "*", "a/b")),
        *(("outbound_ports", value) for value in ("0", "70000", "9-3", "http")),
        ("outbound_schemes", "ftp"),
    ],
)
def test_rules_that_cannot_be_read_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings(**{name: value})


def test_headers_are_read_by_origin(tmp_path: Path) -> None:
    file = tmp_path / "headers.toml"
    file.write_text(
        '["HTTPS://Data.example.org:443"]\nAuthorization = "Bearer s3cret"\n["http://b:81"]\nX-A = "1"\n'
    )
    assert read_headers(file) == {
        "https://data.example.org": {"Authorization": "Bearer s3cret"},
        "http://b:81": {"X-A": "1"},
    }


@pytest.mark.parametrize(
    "text",
    [
        '["data.example.org"]\nA = "s3cret"',
        '["https://a/path"]\nA = "s3cret"',
        '["https://a"]\nHost = "s3cret"',
        '["https://a"]\n"A b" = "s3cret"',
        '["https://a"]\nA = "s3cret\\r\\nB: c"',
        '["https://a"]\nA = ["s3cret"]',
        'a = "s3cret"',
        'a = "s3cret',
    ],
)
def test_wrong_headers_are_refused_without_their_value(tmp_path: Path, text: str) -> None:
    file = tmp_path / "headers.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match="outbound_headers_file") as refused:
        Settings.from_env({"FASTPROCESSES_OUTBOUND_HEADERS_FILE": str(file)})
    assert "s3cret" not in str(refused.value)
