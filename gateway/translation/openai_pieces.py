"""Cuts an answer of OpenAI's family into its JSON objects: the chunks of a stream, or a whole body."""

from enum import Enum, auto
from typing import Any, Final

import orjson

from gateway.stream.sse import Frames

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of the largest body, or event of a stream, that is held to be translated."""


class Sign(Enum):
    """What is no object."""

    DONE = auto()  # the stream's closing word
    GARBLED = auto()  # no valid answer; nothing follows


Piece = dict[str, Any] | Sign


class Pieces:
    """Takes one answer's bytes, cut anywhere.

    A server may answer a call for a stream with a plain body: what begins with a brace is one.

    Args:
        stream: the call asked for a stream.
        limit: bytes of the largest event or body.

    Attributes:
        whole: the answer is one body; known once its first byte is there.
    """

    __slots__ = ("_begun", "_frames", "_held", "_limit", "_over", "whole")

    def __init__(self, stream: bool, limit: int = LIMIT) -> None:
        self.whole = not stream
        self._limit = limit
        self._begun = False
        self._over = False
        self._frames = Frames(limit)
        self._held = bytearray()

    def feed(self, chunk: bytes) -> list[Piece]:
        """The objects that these bytes complete."""
        if not self._begun:
            chunk = chunk.lstrip()
            self.whole = self.whole or chunk.startswith(b"{")
            self._begun = bool(chunk)
        if self._over or not chunk:
            return []
        if self.whole:
            self._held += chunk
            return [] if len(self._held) <= self._limit else [self._break()]
        pieces = self._cut(chunk)
        if self._frames.dropped and not self._over:
            pieces.append(self._break())
        return pieces

    def finish(self) -> list[Piece]:
        """The object that the body's end completes. An event that was cut is none."""
        if self._over or not self._begun:
            return []
        self._over = True
        if self.whole:
            body, self._held = bytes(self._held), bytearray()
            return [_piece(body)]
        rest = self._frames.rest()
        piece = _piece(rest[1]) if rest is not None else Sign.GARBLED
        return [] if piece is Sign.GARBLED else [piece]

    def _cut(self, chunk: bytes) -> list[Piece]:
        pieces: list[Piece] = []
        for _, data in self._frames.feed(chunk):
            if not data.strip():
                continue
            pieces.append(_piece(data))
            if pieces[-1] is Sign.GARBLED:
                self._break()
                break
        return pieces

    def _break(self) -> Sign:
        self._over = True
        self._held = bytearray()
        self._frames = Frames(self._limit)
        return Sign.GARBLED


def _piece(data: bytes) -> Piece:
    if data.strip() == b"[DONE]":
        return Sign.DONE
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError:
        return Sign.GARBLED
    return tree if type(tree) is dict else Sign.GARBLED
