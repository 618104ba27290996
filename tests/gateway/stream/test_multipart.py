"""Forms are read strictly: what two parsers could read in two ways is refused."""

import pytest

from gateway.errors import CallerError
from gateway.stream.multipart import MOST_HEADER_BYTES, MOST_PARTS, part_of, read_form, value_of

TYPE = "multipart/form-data; boundary=edge"


def field(name: str, value: bytes, more: str = "") -> bytes:
    return b'--edge\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n' % (
        name.encode(),
        more.encode(),
    ) + value + b"\r\n"  # fmt: skip


SOUND = bytes(range(256)) * 3 + b"\r\n--edg"
FORM = (
    field("model", b"whisper-1")
    + field("file", SOUND, '; filename="a; name=x.mp3"\r\nContent-Type: audio/mpeg')
    + field("prompt", b"")
    + field("timestamp_granularities[]", b"word")
    + field("timestamp_granularities[]", b"segment")
    + b"--edge--\r\n"
)


def refused(body: bytes, content_type: str = TYPE) -> CallerError:
    with pytest.raises(CallerError) as caught:
        read_form(body, content_type)
    return caught.value


def test_parts_are_found_with_their_places() -> None:
    parts = read_form(FORM, TYPE)
    assert [part.name for part in parts] == ["model", "file", "prompt", *["timestamp_granularities[]"] * 2]
    assert [part.is_file for part in parts] == [False, True, False, False, False]
    assert FORM[parts[1].start : parts[1].end] == SOUND
    assert value_of(FORM, parts, "model") == "whisper-1"
    assert value_of(FORM, parts, "prompt") == ""
    assert value_of(FORM, parts, "other") is None


@pytest.mark.parametrize(
    "value",
    [
        "multipart/form-data; boundary=edge",
        'Multipart/Form-Data;boundary="edge"',
        "multipart/form-data ; boundary=edge",
    ],
)
def test_the_boundary_may_be_quoted(value: str) -> None:
    assert len(read_form(FORM, value)) == 5


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "multipart/form-data",
        "multipart/mixed; boundary=edge",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="edge',
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; boundary=edge; boundary=other",
        "multipart/form-data; boundary=ed\x00ge",
    ],
)
def test_what_is_no_form_is_an_unsupported_type(value: str) -> None:
    assert refused(FORM, value).code == "unsupported_media_type"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--edge",
        b"preamble\r\n" + FORM,
        FORM + b"epilogue",
        FORM[:-4],
        FORM.replace(b"\r\n", b"\n"),
        FORM.replace(b"--edge\r\n", b"--edge \r\n"),
        field("a", b"x") + b"--edge\r\n--edge--\r\n",
        field("a", b"--edge\r\nno part of its own") + b"--edge--",
        field("a", b"x\n--edge\r\n") + b"--edge--",
        field("a", b"x", "\r\nContent-Transfer-Encoding: base64") + b"--edge--",
        field("a", b"x", '\r\nContent-Disposition: form-data; name="b"') + b"--edge--",
        field("a", b"x", '; name="b"') + b"--edge--",
        field("a", b"x", "; name=b") + b"--edge--",
        field("a", b"x", "; name*=utf-8''b") + b"--edge--",
        field('a\\"', b"x") + b"--edge--",
        field("ä", b"x") + b"--edge--",
        field("", b"x") + b"--edge--",
        field("a", b"x").replace(b"form-data", b"attachment") + b"--edge--",
        field("a", b"x").replace(b"Content-Disposition", b"X-Other") + b"--edge--",
        b"--edge\r\n\r\nno headers\r\n--edge--",
        field("a", b"x", "\r\nContent-Type: " + "x" * MOST_HEADER_BYTES) + b"--edge--",
        field("a", b"x") * (MOST_PARTS + 1) + b"--edge--",
    ],
)
def test_a_broken_or_ambiguous_form_is_refused(body: bytes) -> None:
    error = refused(body)
    assert (error.code, error.about) == ("bad_request", "form")


def test_as_many_parts_as_allowed_are_read() -> None:
    assert len(read_form(field("a", b"x") * MOST_PARTS + b"--edge--", TYPE)) == MOST_PARTS


def test_a_field_that_counts_may_stand_there_once_and_is_no_file() -> None:
    for body in (
        field("model", b"a") + field("model", b"b") + b"--edge--",
        field("model", b"a", '; filename="model"') + b"--edge--",
    ):
        parts = read_form(body, TYPE)
        with pytest.raises(CallerError) as caught:
            part_of(parts, "model")
        assert caught.value.about == "model"


def test_a_value_is_utf_8() -> None:
    body = field("model", b"\xff") + b"--edge--"
    with pytest.raises(CallerError) as caught:
        value_of(body, read_form(body, TYPE), "model")
    assert caught.value.about == "model"
