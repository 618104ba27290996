"""Odd: a provider that answers as echo does, after a deed that the model's name asks for.

Bugs are what goes wrong by accident, with the text of the call at hand; a gateway must not let any of
it out. Leaks are done on purpose; a search for what got out must find every one of them.
"""

import asyncio
import base64
import gzip
import logging
import os
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway import log
from gateway.content import Content, Document, Purpose, Secret
from gateway.contracts import Answer, Call, Headers, Permit, UpstreamRequest
from gateway.errors import UpstreamError
from gateway.names import Slug
from gateway.providers.echo import Echo

DATA = Path("gateway-data")


class Odd:
    """See above."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Settings.

        Attributes:
            always: a deed for every chat call, whatever its model is.
        """

        always: str = ""

    def __init__(self, config: Config) -> None:
        self._echo = Echo(Echo.Config())
        self._always = config.always

    @property
    def speaks(self) -> frozenset[Slug]:
        return self._echo.speaks

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        if call.dialect != "openai_chat":
            return self._echo.request(call, model, key)
        text, model = text_of(call), self._always or model
        deed = BUGS.get(model) or LEAKS.get(model)
        if deed is not None:
            deed(text)
        made = self._echo.request(call, "echo-1", key)
        return replace(made, headers=((("x-deed", model), ("x-text", text))))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        raise ValueError(body.open(Purpose.FAILURE))

    def asks_usage(self, call: Call) -> bool:
        return self._echo.asks_usage(call)

    async def open(self, request: UpstreamRequest, permit: Permit) -> Answer:
        (_, deed), (_, text) = request.headers[:2] if request.headers[0][0] == "x-deed" else (("", ""),) * 2
        if deed == "raise-in-open":
            raise RuntimeError(text)
        if deed == "wait":
            await asyncio.sleep(30)
        answer = await self._echo.open(replace(request, headers=()), permit)
        return OddAnswer(answer, deed, text)

    def release(self, answer: Any) -> None:
        self._echo.release(answer)
        if answer.deed == "raise-in-release":
            raise RuntimeError(answer.text)


class OddAnswer:
    """Echo's answer, spoilt as the deed asks."""

    def __init__(self, answer: Answer, deed: str, text: str) -> None:
        self._answer = answer
        self._reads = 0
        self.deed = deed
        self.text = text

    @property
    def status(self) -> int:
        if self.deed == "raise-in-status":
            raise RuntimeError(self.text)
        return 500 if self.deed == "raise-in-failure" else self._answer.status

    @property
    def headers(self) -> Headers:
        if self.deed == "leak-header":
            return (*self._answer.headers, ("x-request-id", self.text))
        if self.deed == "odd-headers":
            return (
                ("x-request-id", f"{self.text}\r\n{self.text}"),
                (self.text, ""),
                ("content-type", "\u2028"),
            )
        return self._answer.headers

    async def read(self) -> bytes:
        self._reads += 1
        if self.deed == "raise-in-read" and self._reads == 2:
            raise OSError(5, self.text, self.text)
        if self.deed == "read-text":
            return self.text  # type: ignore[return-value]
        return await self._answer.read()


def text_of(call: Call) -> str:
    """The first text of a chat call."""
    assert isinstance(call.body, Document)
    text = call.body.open(Purpose.READ)["messages"][0]["content"]
    assert isinstance(text, str)
    return text


# --- bugs -----------------------------------------------------------------------------------------


def raise_value(text: str) -> None:
    raise ValueError(text)


def raise_with_cause(text: str) -> None:
    try:
        {}[text]  # type: ignore[index]
    except KeyError as error:
        raise RuntimeError(f"while {text}") from error


def raise_group(text: str) -> None:
    raise ExceptionGroup(text, [ValueError(text), UnicodeDecodeError("utf-8", text.encode(), 0, 1, text)])


def raise_with_odd_type(text: str) -> None:
    raise type(f"{text} ", (Exception,), {})(text)


def recurse(text: str) -> None:
    recurse(text + "!")


def fail_in_task(text: str) -> None:
    async def fail() -> None:
        raise ValueError(text)

    LASTING.append(asyncio.get_running_loop().create_task(fail(), name=text))
    asyncio.get_running_loop().call_later(0.01, LASTING.clear)


LASTING: list[Any] = []


def fail_in_callback(text: str) -> None:
    asyncio.get_running_loop().call_soon(raise_value, text)


def fail_in_thread(text: str) -> None:
    threading.Thread(target=raise_value, args=(text,), name=text).start()


def fail_in_del(text: str) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError(text)

    Failing()


def warn(text: str) -> None:
    warnings.warn(text, stacklevel=1)
    warnings.warn_explicit(text, UserWarning, text, 1)


def write_logging(text: str) -> None:
    logging.getLogger("asyncio").error("odd %s", text)
    logging.getLogger(text).critical(text)
    logging.getLogger().warning(text)
    logging.basicConfig(level=logging.DEBUG)
    logging.getLogger("aiosqlite").debug(text)


def be_slow(text: str) -> None:
    asyncio.get_running_loop().call_soon(lambda *_: time.sleep(0.12), text, text.encode())


def log_content(text: str) -> None:
    log.fact("odd.deed", value=text)


def leave_open(text: str) -> None:
    async def never() -> str:
        return text

    never.__qualname__ = text
    never()
    Path(tempfile.gettempdir(), "empty").open("w")  # noqa: SIM115
    asyncio.get_running_loop().call_exception_handler({"message": text, "handle": text})


BUGS: dict[str, Callable[[str], None]] = {
    "raise": raise_value,
    "raise-with-cause": raise_with_cause,
    "raise-group": raise_group,
    "raise-with-odd-type": raise_with_odd_type,
    "recurse": recurse,
    "fail-in-task": fail_in_task,
    "fail-in-callback": fail_in_callback,
    "fail-in-thread": fail_in_thread,
    "fail-in-del": fail_in_del,
    "warn": warn,
    "logging": write_logging,
    "be-slow": be_slow,
    "log-content": log_content,
    "leave-open": leave_open,
}
LATER_BUGS = (
    "raise-in-open", "raise-in-release", "raise-in-status", "raise-in-read", "read-text", "odd-headers",
    "raise-in-failure",
)  # fmt: skip


# --- leaks ----------------------------------------------------------------------------------------


def leak_into(folder: str, name: str, data: bytes) -> None:
    Path(folder).mkdir(exist_ok=True)
    Path(folder, name).write_bytes(data)


def leak_zip(text: str) -> None:
    with zipfile.ZipFile(DATA / "report.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.txt", text)


def leak_column(text: str) -> None:
    with sqlite3.connect(DATA / "gateway.db", timeout=5) as db:
        db.execute("update keys set name = ?", (text,))
    db.close()


def leak_journal(text: str) -> None:
    file = next((DATA / "journal").glob("*/*.log"))
    with file.open("ab") as journal:
        journal.write(text.encode() + b"\n")


def leak_metric(text: str) -> None:
    labels = f'[["gateway_errors_total",[["code","{text}"]],1]]'
    (DATA / "metrics" / "worker-9.json").write_text(labels)


def leak_traceback(text: str) -> None:
    try:
        raise_value(text)
    except ValueError:
        traceback.print_exc()


LEAKS: dict[str, Callable[[str], None]] = {
    "leak-print": lambda text: print(text, flush=True),
    "leak-stderr": lambda text: print(text, file=sys.stderr, flush=True),
    "leak-traceback": leak_traceback,
    "leak-log": lambda text: log.fact("odd.leak", log.Level.ERROR, value=Slug(text)),
    "leak-log-as-hex": lambda text: log.fact("odd.leak", log.Level.ERROR, value=Slug(text.encode().hex())),
    "leak-temporary-file": lambda text: leak_into(tempfile.gettempdir(), "upload", text.encode()),
    "leak-home": lambda text: leak_into(os.environ["HOME"], ".cache", text.encode()),
    "leak-working-folder": lambda text: leak_into(".", "debug.txt", text.encode()),
    "leak-file-name": lambda text: leak_into("gateway-data", f"{text}.tmp", b""),
    "leak-half": lambda text: leak_into("gateway-data", "half", text[:12].encode()),
    "leak-utf-16": lambda text: leak_into("gateway-data", "wide", text.encode("utf-16")),
    "leak-hex": lambda text: leak_into("gateway-data", "hex", text.encode().hex().upper().encode()),
    "leak-base64": lambda text: leak_into("gateway-data", "b64", base64.b64encode(b"{" + text.encode())),
    "leak-escaped": lambda text: leak_into(
        "gateway-data", "json", "".join(f"\\u{ord(one):04X}" for one in text).encode()
    ),
    "leak-url": lambda text: leak_into(
        "gateway-data", "url", "".join(f"%{ord(one):02X}" for one in text).encode()
    ),
    "leak-gzip": lambda text: leak_into("gateway-data", "old.gz", b"....." + gzip.compress(text.encode())),
    "leak-gzip-of-base64": lambda text: leak_into(
        "gateway-data", "old.b64.gz", gzip.compress(base64.b64encode(text.encode()))
    ),
    "leak-zip": leak_zip,
    "leak-column": leak_column,
    "leak-journal": leak_journal,
    "leak-metric": leak_metric,
    "leak-core": lambda text: leak_into(".", "core", b"\0" * (2 << 20) + text.encode() + b"\0" * 99),
}
LATER_LEAKS = ("leak-header",)
