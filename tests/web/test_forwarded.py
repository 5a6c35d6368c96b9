"""Where links lead behind a proxy: by settings, by headers of proxies that are trusted, and by nobody else's."""

from ipaddress import ip_address, ip_network

import pytest
from fastprocesses_host.app import create_app
from fastprocesses_host.host import Host
from fastprocesses_host.settings import Settings, SettingsError
from fastprocesses_host.web.base_url import is_host
from fastprocesses_host.web.callers import caller_at
from fastprocesses_host.web.forwarded import told_by_proxies
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

PROXY = ("127.0.0.1", 50_000)
TRUSTED = "127.0.0.1, 10.0.0.0/8"


def answer_to(headers, *, path="/", client=PROXY, root_path="", **settings):
    chosen = Settings(redis_url="unix:///nowhere", **settings)
    app = create_app(chosen, host=Host(chosen))
    opened = TestClient(app, "http://internal:8080", root_path=root_path, client=client)
    return opened.get(path, headers=headers)


def base(answer) -> str:
    """Check that all links of the landing page start alike, and give that start."""
    assert answer.status_code == 200, answer.text
    links = answer.json()["links"]
    landing = next(link["href"] for link in links if link["rel"] == "self")
    assert all(link["href"].startswith(landing) for link in links)
    assert answer.links["self"]["url"] == landing
    return landing.removesuffix("/")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "http://internal:8080"),
        ({"x-forwarded-proto": "https"}, "https://internal:8080"),
        ({"x-forwarded-host": "example.org"}, "http://example.org"),
        ({"x-forwarded-proto": "https", "x-forwarded-host": "example.org"}, "https://example.org"),
        ({"x-forwarded-proto": "HTTPS", "x-forwarded-host": "example.org:8443"}, "https://example.org:8443"),
        ({"x-forwarded-proto": "https", "x-forwarded-host": "e.org", "x-forwarded-port": "8443"}, "https://e.org:8443"),
        ({"x-forwarded-proto": "https", "x-forwarded-host": "e.org", "x-forwarded-port": "443"}, "https://e.org"),
        ({"x-forwarded-host": "e.org", "x-forwarded-port": "80"}, "http://e.org"),
        ({"x-forwarded-proto": "https", "x-forwarded-port": "8443", "host": "e.org"}, "https://e.org:8443"),
        ({"x-forwarded-host": "e.org:81", "x-forwarded-port": "8443"}, "http://e.org:81"),
        ({"x-forwarded-host": "[2001:db8::1]:8443"}, "http://[2001:db8::1]:8443"),
        ({"x-forwarded-host": "[2001:db8::1]", "x-forwarded-port": "81"}, "http://[2001:db8::1]:81"),
        ({"x-forwarded-prefix": "/ogc"}, "http://internal:8080/ogc"),
        ({"x-forwarded-prefix": "/a/b/"}, "http://internal:8080/a/b"),
        ({"x-forwarded-prefix": "/a%20b"}, "http://internal:8080/a%20b"),
        ({"forwarded": "proto=https;host=example.org"}, "https://example.org"),
        ({"forwarded": 'for="[2001:db8::9]:4711";Proto=HTTPS;Host="example.org:8443"'}, "https://example.org:8443"),
        ({"forwarded": 'host="[2001:db8::1]:81" ; for=192.0.2.1'}, "http://[2001:db8::1]:81"),
        ({"forwarded": "for=192.0.2.60"}, "http://internal:8080"),
        ({"forwarded": "host=evil.example", "x-forwarded-proto": "https"}, "https://internal:8080"),
    ],
)  # fmt: skip
def test_what_a_trusted_proxy_tells_is_where_links_lead(headers, expected):
    assert base(answer_to(headers, trusted_proxies=TRUSTED)) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-forwarded-host": "evil.example, example.org"}, "http://example.org"),
        (
            {
                "x-forwarded-for": "192.0.2.1, 10.0.0.1",
                "x-forwarded-host": "evil.example, example.org, inner.example",
                "x-forwarded-proto": "http, https, http",
            },
            "https://example.org",
        ),
        ({"x-forwarded-for": "192.0.2.1, 10.0.0.1", "x-forwarded-host": "example.org"}, "http://example.org"),
        ({"forwarded": "host=evil.example, host=example.org;for=192.0.2.1"}, "http://example.org"),
        (
            {
                "forwarded": "host=evil.example, for=192.0.2.1;host=example.org;proto=https, for=10.0.0.1;host=inner"
            },
            "https://example.org",
        ),
    ],
)
def test_of_several_proxies_the_outermost_that_is_trusted_counts(headers, expected):
    assert base(answer_to(headers, trusted_proxies=TRUSTED)) == expected


@pytest.mark.parametrize("client", [("192.0.2.1", 1), ("::ffff:192.0.2.1", 1), ("10.0.0.1.example", 1)])
@pytest.mark.parametrize("trusted", ["", TRUSTED])
def test_nobody_else_is_believed(client, trusted):
    headers = {
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "x-forwarded-prefix": "/evil",
        "forwarded": "host=evil.example;proto=https",
    }
    assert base(answer_to(headers, client=client, trusted_proxies=trusted)) == "http://internal:8080"
    if not trusted:
        assert base(answer_to(headers, trusted_proxies="")) == "http://internal:8080"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ""),
        ({"x-forwarded-for": "192.0.2.1"}, "192.0.2.1"),
        ({"x-forwarded-for": "192.0.2.1:4711"}, "192.0.2.1"),
        ({"x-forwarded-for": "[2001:db8::1]:4711"}, "2001:db8::1"),
        ({"x-forwarded-for": "203.0.113.66, 192.0.2.1"}, "192.0.2.1"),  # the first is the client's own word
        ({"x-forwarded-for": "203.0.113.66, 192.0.2.1, 10.1.2.3"}, "192.0.2.1"),
        ({"x-forwarded-for": "10.1.2.3, 10.1.2.4"}, "10.1.2.3"),
        ({"forwarded": "for=192.0.2.1;proto=https"}, "192.0.2.1"),
        ({"forwarded": 'for="[2001:db8::1]:80", for=10.1.2.3'}, "2001:db8::1"),
        ({"x-forwarded-for": "192.0.2.1", "forwarded": "for=192.0.2.2"}, "192.0.2.1"),
        ({"x-forwarded-for": "unknown"}, ""),
        ({"x-forwarded-for": "192.0.2.1, _hidden"}, ""),
        ({"forwarded": "for=_hidden"}, ""),
        ({"x-forwarded-for": "'; DROP"}, ""),
    ],
)
def test_the_client_is_the_last_address_before_the_proxies(headers, expected):
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    told = told_by_proxies(raw, tuple(ip_network(part.strip()) for part in TRUSTED.split(",")))

    assert told.client == expected


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "-"),
        ("", "-"),
    ],
)
def test_a_caller_is_an_address_or_a_network_of_one_site(address, caller):
    assert caller_at(address) == caller


@pytest.mark.parametrize(
    ("client", "trusted"),
    [
        (("10.1.2.3", 1), TRUSTED),
        (("::ffff:10.1.2.3", 1), TRUSTED),
        (("192.0.2.1", 1), "*"),
        (("::1", 1), "::1"),
    ],
)
def test_proxies_are_named_by_address_network_or_all(client, trusted):
    answer = answer_to({"x-forwarded-host": "example.org"}, client=client, trusted_proxies=trusted)
    assert base(answer) == "http://example.org"


HOSTILE = [
    "javascript:alert(1)", "evil.example/path", 'a"b', "a b", "<script>", "user@evil.example", "a:b", "e.org:0",
    "e.org:65536", "e.org:99999", "[::1", "::1", "[:::::]:80", "[2001:db8::1%25eth0]", "a?b", "a#b", "\\evil", "é.org",
    "//evil.example", "",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", ["x-forwarded-host", "x-forwarded-proto", "x-forwarded-port"])
def test_a_value_that_cannot_be_is_left_out(name, value):
    answer = answer_to([(name.encode(), value.encode())], trusted_proxies=TRUSTED)
    assert base(answer) == "http://internal:8080"


@pytest.mark.parametrize(
    "value",
    [*HOSTILE, "evil", "/", "/a//b", "//evil.example", "/../a", "/a/..", "/%2e%2e/a", "/%2f%2fevil", "/a%0d%0ab",
     "/a\\b", '/a"b', "/<a>", "/a?b", "/a#b", "/a b"],
)  # fmt: skip
def test_a_prefix_that_cannot_be_is_left_out(value):
    answer = answer_to([(b"x-forwarded-prefix", value.encode())], trusted_proxies=TRUSTED)
    assert base(answer) == "http://internal:8080"


@pytest.mark.parametrize(
    "value",
    [f'host="{value}"' for value in HOSTILE if value != "\\evil"] + ['host="a', "host", "=", ";;", 'a="b'],
)
def test_a_forwarded_header_that_cannot_be_is_left_out(value):
    answer = answer_to([(b"forwarded", value.encode())], trusted_proxies=TRUSTED)
    assert base(answer) == "http://internal:8080"


NETWORKS = (ip_network("10.0.0.0/8"),)
TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n")) | st.sampled_from(
    ["https", "example.org", 'for="[::1]:1";host=a', "10.0.0.1, 10.0.0.2", "/ogc", "a, b", '"', "\\"]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["proto", "host", "port", "prefix", "for"]).map("x-forwarded-{}".format), TEXTS
        )
        | st.tuples(st.just("forwarded"), TEXTS)
    )
)
def test_whatever_is_told_is_a_scheme_a_host_and_a_path(headers):
    told = told_by_proxies([(name.encode(), value.encode("latin-1")) for name, value in headers], NETWORKS)

    assert told.scheme in ("", "http", "https")
    assert told.host == "" or is_host(told.host)
    assert told.prefix == "" or (told.prefix.startswith("/") and not told.prefix.startswith("//"))
    assert told.prefix.isprintable()
    assert told.client == "" or ip_address(told.client)


@pytest.mark.parametrize("path", ["/", "/ogc/", "/ogc"])
def test_the_root_path_is_part_of_every_link(path):
    chosen = Settings(redis_url="unix:///nowhere", root_path="/ogc")
    client = TestClient(create_app(chosen, host=Host(chosen)), "http://internal:8080")

    assert base(client.get(path)) == "http://internal:8080/ogc"
    assert client.get("/nothing").json()["instance"] == "/ogc/nothing"
    assert client.get("/ogc/nothing").json()["instance"] == "/ogc/nothing"
    assert client.get("/ogcx/conformance").status_code == 404


def test_the_public_url_goes_before_all_headers():
    headers = {"x-forwarded-host": "other.example", "x-forwarded-prefix": "/other"}
    answer = answer_to(headers, trusted_proxies=TRUSTED, public_url="https://example.org/ogcapi")
    assert base(answer) == "https://example.org/ogcapi"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"trusted_proxies": "proxy.example"}, "trusted_proxies"),
        ({"trusted_proxies": "10.0.0.0/40"}, "trusted_proxies"),
        ({"root_path": "ogc"}, "root_path"),
        ({"root_path": "/"}, "root_path"),
        ({"root_path": "//evil"}, "root_path"),
        ({"public_url": "example.org"}, "public_url"),
        ({"public_url": "javascript:alert(1)"}, "public_url"),
        ({"public_url": "https://example.org/?a=b"}, "public_url"),
        ({"cors_origins": "example.org"}, "cors_origins"),
        ({"cors_origins": "https://example.org/path"}, "cors_origins"),
        ({"queues": "default,not.one"}, "queues"),
        ({"queues": "default,two words"}, "queues"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(settings, name):
    with pytest.raises(SettingsError, match=name):
        Settings(**settings)


def test_locations_and_links_of_jobs_lead_through_the_proxy(client):
    told = {"x-forwarded-proto": "https", "x-forwarded-host": "example.org", "x-forwarded-prefix": "/ogc"}
    created = client.execute("greet", {"inputs": {"name": "you"}}, prefer="respond-async", **told)

    location = created.headers["location"]
    assert location == f"https://example.org/ogc/jobs/{created.json()['jobID']}"
    links = [link["href"] for link in created.json()["links"] if "www.opengis.net" not in link["href"]]
    assert all(link.startswith("https://example.org/ogc/") for link in links)
    page = client.get(f"/jobs/{created.json()['jobID']}", headers={**told, "accept": "text/html"})
    assert 'href="https://example.org/ogc/static/pages.css"' in page.text
    assert str(client.base_url) not in page.text
    definition = client.get("/api", headers=told).json()
    assert definition["servers"] == [{"url": "https://example.org/ogc"}]
