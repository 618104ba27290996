"""Where the gateway may connect to: a table of addresses and URLs, and a resolver that changes its mind."""

import asyncio
import socket
from ipaddress import ip_address

import pytest

from gateway.edge.guard import ADDRESSES, Guard, Origin, check_address, check_url, system_lookup
from gateway.errors import UpstreamError


def words(text: str) -> list[str]:
    return text.split()


# Addresses that are refused unless the origin is listed, and those of them refused even then.
SPECIAL = words("""
0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.64.0.1 100.127.255.255
127.0.0.0 127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.255 169.254.0.0 169.254.0.1 169.254.255.255
172.16.0.0 172.16.0.1 172.20.10.1 172.31.255.255 192.0.0.0 192.0.0.1 192.0.0.8 192.0.0.170
192.0.0.255 192.0.2.0 192.0.2.1 192.0.2.255 192.31.196.1 192.52.193.1 192.88.99.0 192.88.99.1
192.168.0.0 192.168.0.1 192.168.1.1 192.168.255.255 192.175.48.1 198.18.0.0 198.18.0.1
198.19.255.255 198.51.100.0 198.51.100.1 198.51.100.255 203.0.113.0 203.0.113.1 203.0.113.255
240.0.0.0 240.0.0.1 250.1.2.3 255.255.255.254 :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::10.0.0.1 ::8.8.8.8
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:192.168.1.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::8.8.8.8
64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b:1::1 64:ff9b:1::a9fe:a9fe 100::1 100:0:0:1::1 2001::1
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1
2001:30::1 2001:db8::1 2001:db8:ffff::1 2002::1 2002:7f00:1::1 2002:a00:1::1 2002:c0a8:101::1
2002:808:808::1 2620:4f:8000::1 3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1
fc00::1 fd00::1 fdff:ffff::1 fe80::1 fe80::1234:5678 febf::1 fec0::1 2600::5efe:7f00:1
2600::200:5efe:a00:1 2a00:1450::5efe:8.8.8.8
""")
NEVER = words("""
169.254.169.254 169.254.170.2 169.254.170.23 168.63.129.16 100.100.100.200 192.0.0.192 224.0.0.0
224.0.0.1 239.255.255.255 232.1.2.3 255.255.255.255 ::ffff:169.254.169.254 ::ffff:224.0.0.1
::ffff:100.100.100.200 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 ff00::1 ff02::1 ff05::2 ff0e::1
2002:a9fe:a9fe::1 64:ff9b::a9fe:a9fe 64:ff9b::224.0.0.1
""")
PUBLIC = words("""
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0
192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255
168.63.129.15 104.18.7.192 162.159.140.245 2001:200::1 2001:4860:4860::8888 2606:4700::6812:7c0
2600:1901:0:1::1 2a00:1450:4001::200a 2400:cb00::1 2003::1 3ffe::1
""")


@pytest.mark.parametrize("text", SPECIAL + NEVER)
def test_special_addresses_are_refused(text: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        check_address(ip_address(text))
    assert (caught.value.code, caught.value.about) == ("upstream_blocked", "address")


@pytest.mark.parametrize("text", SPECIAL)
def test_a_listed_origin_may_be_private(text: str) -> None:
    check_address(ip_address(text), listed=True)


@pytest.mark.parametrize("text", NEVER)
def test_metadata_services_and_multicast_are_refused_even_when_listed(text: str) -> None:
    with pytest.raises(UpstreamError):
        check_address(ip_address(text), listed=True)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text: str) -> None:
    check_address(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_may_stand_in_a_url(text: str) -> None:
    host = f"[{text}]" if ":" in text else text
    origin, _ = check_url(f"https://{host}/v1")
    assert origin.host == text


REFUSED_HOSTS = words("""
127.0.0.1 127.0.0.1. 127.1 127.0.1 127 0 0. 00 1 2130706433 017700000001 0x7f000001 0x7f.0.0.1
0x7f.1 0X7F.0.0.1 0177.0.0.1 0177.1 127.0.0.01 127.0.0.001 127.0.0.0x1 010.0.0.1 10.1 10.0.1
0xa9fea9fe 2852039166 169.254.43518 169.16689662 0251.0376.0251.0376 0xa9.0xfe.0xa9.0xfe
169.254.169.254 169.254.169.254. 256.1.1.1 1.2.3.256 1.2.3.4.5 1.2.3 8.8.8.8.8 08.8.8.8 8.8.8.08
0x8.8.8.8 134744072 4294967296 99999999999999 0x 0x. foo.0x foo.1 foo.0x1f example.123 1.2.3.4..
example.com.. .example.com example..com . .. - -a a- a-.com -a.com a.-b.com _ a.com_ [::1] [::]
[0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [fe80::1] [fd00:ec2::254]
[64:ff9b::7f00:1] [2002:7f00:1::] [ff02::1] [1.2.3.4] [::1 ::1] [] [:] [::g] [::1%eth0]
[fe80::1%25eth0] [1::2::3] [12345::]
""")


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_every_other_spelling_of_an_address_is_refused(host: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        check_url(f"https://{host}/v1/chat")
    assert caught.value.code == "upstream_blocked"
    assert caught.value.about in ("url", "host", "address")


REFUSED_URLS = [
    "",
    "https",
    "https:",
    "https://",
    "https:///v1",
    "//example.com/v1",
    "/v1",
    "example.com",
    "HTTPS://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "ftp://example.com/",
    "javascript:alert(1)",
    "http://example.com/v1",
    "https://user@example.com/",
    "https://user:pass@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com:@127.0.0.1/",
    "https://127.0.0.1#@example.com/",
    "https://127.0.0.1\\@example.com/",
    "https://example.com\\.evil.com/",
    "https://example.com:0/",
    "https://example.com:00443/",
    "https://example.com:65536/",
    "https://example.com:99999/",
    "https://example.com:-1/",
    "https://example.com:+80/",
    "https://example.com:/",
    "https://example.com: 443/",
    "https://example.com:443:443/",
    "https://example.com:\uff14\uff14\uff13/",
    "https://exam ple.com/",
    " https://example.com/",
    "https://example.com/ ",
    "https://example.com/\n",
    "https://example.com\n/",
    "https://example.com/a\nb",
    "https://example.com/a\r\nb",
    "https://example.com/a\tb",
    "https://example.com/a\0b",
    "https://example.com/a b",
    "https://example.com/a#b",
    "https://example.com/a\\b",
    "https://example.com/ü",
    "https://example.com?x=1",
    "https://exämple.com/",
    "https://еxample.com/",  # noqa: RUF001 - the first letter is Cyrillic
    "https://example。com/",
    "https://example．com/",  # noqa: RUF001
    "https://１２７.0.0.1/",  # noqa: RUF001
    "https://①②⑦.0.0.1/",
    "https://ⓔxample.com/",
    "https://example.com%2f/",
    "https://%65xample.com/",
    "https://127.0.0.1%00.example.com/",
    "https://localhost%/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 127 + "com/",
    "https://[::1",
    "https://::1/",
    "https://[2606:4700::1]x/",
    "https://[2606:4700::1]:/",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_odd_urls_are_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        check_url(url)
    assert caught.value.code == "upstream_blocked"
    assert caught.value.about in ("url", "host", "port", "scheme", "address")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "origin", "target", "authority"),
    [
        ("https://a.example/v1/x?a=b", Origin("https", "a.example", 443), "/v1/x?a=b", "a.example"),
        ("https://API.Example.COM", Origin("https", "api.example.com", 443), "/", "api.example.com"),
        ("https://api.example.com./v1", Origin("https", "api.example.com", 443), "/v1", "api.example.com"),
        ("https://api.example.com:443/", Origin("https", "api.example.com", 443), "/", "api.example.com"),
        ("https://a.example:8443/", Origin("https", "a.example", 8443), "/", "a.example:8443"),
        (
            "https://xn--exmple-cua.com/",
            Origin("https", "xn--exmple-cua.com", 443),
            "/",
            "xn--exmple-cua.com",
        ),
        ("https://my_model.example/", Origin("https", "my_model.example", 443), "/", "my_model.example"),
        ("https://1.1.1.1/", Origin("https", "1.1.1.1", 443), "/", "1.1.1.1"),
        ("https://[2606:4700:0::1]:8/", Origin("https", "2606:4700::1", 8), "/", "[2606:4700::1]:8"),
        ("https://123.example/", Origin("https", "123.example", 443), "/", "123.example"),
    ],
)
def test_good_urls_come_out_in_one_form(url: str, origin: Origin, target: str, authority: str) -> None:
    assert check_url(url) == (origin, target)
    assert origin.authority == authority


LISTED = frozenset({("127.0.0.1", 8000), ("model.internal", 80), ("::1", 9)})


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000/v1", "https://127.0.0.1:8000/", "http://model.internal/", "http://[::1]:9/"],
)
def test_a_listed_origin_may_speak_http(url: str) -> None:
    assert check_url(url, LISTED)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8001/",
        "http://127.0.0.2:8000/",
        "http://model.internal:81/",
        "http://localhost:8000/",
        "https://127.0.0.1/",
        "http://0177.0.0.1:8000/",
        "http://2130706433:8000/",
        "http://[::ffff:7f00:1]:8000/",
    ],
)
def test_only_exactly_what_is_listed_is_allowed(url: str) -> None:
    with pytest.raises(UpstreamError):
        check_url(url, LISTED)


# --- names ------------------------------------------------------------------------------------------------


class Names:
    """A resolver with answers in turn, the last one for ever."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


class HandClock:
    def __init__(self) -> None:
        self.ns = 10**12

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


API = Origin("https", "api.example.com", 443)


async def test_a_name_is_asked_once_and_asked_again_after_thirty_seconds() -> None:
    names, clock = Names(["1.1.1.1", "1.1.1.1", "2606:4700::1"]), HandClock()
    guard = Guard(lookup=names, clock=clock)
    for _ in range(3):
        found = await guard.addresses(API)
    assert [str(one) for one in found] == ["1.1.1.1", "2606:4700::1"]
    assert names.asked == 1
    clock.ns += 31 * 10**9
    await guard.addresses(API)
    assert names.asked == 2
    guard.forget(API)
    await guard.addresses(API)
    assert names.asked == 3


async def test_a_name_that_turns_to_the_inside_is_refused_when_asked_again() -> None:
    names, clock = Names(["1.1.1.1"], ["127.0.0.1"]), HandClock()
    guard = Guard(lookup=names, clock=clock)
    assert await guard.addresses(API)
    clock.ns += 31 * 10**9
    for _ in range(2):  # nothing bad is remembered as good
        with pytest.raises(UpstreamError) as caught:
            await guard.addresses(API)
        assert caught.value.code == "upstream_blocked"


@pytest.mark.parametrize("bad", ["127.0.0.1", "10.0.0.1", "::1", "fe80::1%eth0", "169.254.169.254"])
async def test_one_bad_address_refuses_them_all(bad: str) -> None:
    for answer in (["1.1.1.1", bad], [bad, "1.1.1.1"], ["1.1.1.1"] * 30 + [bad]):
        with pytest.raises(UpstreamError):
            await Guard(lookup=Names(answer)).addresses(API)


async def test_a_listed_name_may_lead_to_the_inside_but_not_to_metadata() -> None:
    listed = frozenset({("API.example.com.", 443)})
    assert await Guard(listed, lookup=Names(["10.0.0.1"])).addresses(API)
    with pytest.raises(UpstreamError):
        await Guard(listed, lookup=Names(["169.254.169.254"])).addresses(API)


@pytest.mark.parametrize("answer", [[], ["not an address"], socket.gaierror(1, "canary"), OSError("canary")])
async def test_a_name_without_addresses_is_unreachable(answer: list[str] | OSError) -> None:
    with pytest.raises(UpstreamError) as caught:
        await Guard(lookup=Names(answer)).addresses(API)
    assert caught.value.code == "upstream_unreachable"
    assert "canary" not in repr(caught.value)
    assert caught.value.__cause__ is None


async def test_a_resolver_out_of_time_is_reported_as_such() -> None:
    with pytest.raises(TimeoutError):
        await Guard(lookup=Names(TimeoutError())).addresses(API)


async def test_no_more_than_sixteen_addresses_are_used() -> None:
    many = [f"1.1.1.{at}" for at in range(50)]
    assert len(await Guard(lookup=Names(many)).addresses(API)) == ADDRESSES


async def test_many_calls_at_once_ask_one_time() -> None:
    names = Names(["1.1.1.1"])
    guard = Guard(lookup=names)
    await asyncio.gather(*[guard.addresses(API) for _ in range(50)])
    assert names.asked == 1


async def test_the_memory_of_names_is_bounded() -> None:
    names = Names(["1.1.1.1"])
    guard = Guard(lookup=names, names=10)
    for at in range(100):
        await guard.addresses(Origin("https", f"a{at}.example", 443))
    await guard.addresses(Origin("https", "a99.example", 443))
    assert names.asked == 100
    await guard.addresses(Origin("https", "a0.example", 443))
    assert names.asked == 101


async def test_an_address_needs_no_resolver_and_is_checked_all_the_same() -> None:
    names = Names([])
    assert [str(one) for one in await Guard(lookup=names).addresses(Origin("https", "1.1.1.1", 443))] == [
        "1.1.1.1"
    ]
    with pytest.raises(UpstreamError):
        await Guard(lookup=names).addresses(Origin("https", "127.0.0.1", 443))
    assert names.asked == 0


async def test_another_list_forgets_what_the_old_one_allowed() -> None:
    guard = Guard(frozenset({("api.example.com", 443)}), lookup=Names(["10.0.0.1"]))
    assert await guard.addresses(API)
    with pytest.raises(UpstreamError):
        await guard.allowing(frozenset()).addresses(API)


async def test_hosts_are_listed_in_one_form_and_nonsense_lists_nothing() -> None:
    guard = Guard(frozenset({("LOCALHOST.", 1), ("0:0::1", 2), ("b a d", 3)}))
    assert guard.allowed == {("localhost", 1), ("::1", 2), ("b a d", 3)}


async def test_the_systems_resolver_knows_this_machine() -> None:
    assert set(await system_lookup("localhost", 80)) <= {"127.0.0.1", "::1"}
