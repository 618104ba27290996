"""Search: looks for a canary in files, folders, pages and streams, and says what was looked at."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from gateway.privacy.canary import Canary, Hit
from gateway.privacy.unpacking import unpacked

PIECE_BYTES: Final = 16 << 20
OVERLAP_BYTES: Final = 2 << 20
"""A file is read in pieces that overlap: what is packed must begin this near to the end of its piece."""


@dataclass(slots=True)
class Search:
    """One search for one canary.

    Attributes:
        places: names of what was looked at.
        size: bytes looked at, before unpacking.
        hits: what was found.
        unread: files that could not be read; a proof needs this to be empty.
        piece_bytes, overlap_bytes: a file is read in pieces that begin so far apart and overlap so much.
    """

    canary: Canary
    places: list[str] = field(default_factory=list)
    size: int = 0
    hits: list[Hit] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    piece_bytes: int = PIECE_BYTES
    overlap_bytes: int = OVERLAP_BYTES

    @property
    def clean(self) -> bool:
        """Everything was read, and nothing was found."""
        return not self.hits and not self.unread

    def data(self, place: str, data: bytes) -> None:
        """Look at bytes, and at whatever is packed in them."""
        self.places.append(place)
        self.size += len(data)
        self._look(place, data, 0)

    def file(self, path: Path) -> None:
        """Look at a file: its content and its name. What is no plain file is passed over."""
        place = str(path)
        try:
            with path.open("rb", buffering=0) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return
                self.places.append(place)
                self._look(f"name of {place}", os.fsencode(path.name), 0)
                at = 0
                while piece := os.pread(file.fileno(), self.piece_bytes + self.overlap_bytes, at):
                    self._look(place, piece, at)
                    at += min(len(piece), self.piece_bytes)
                self.size += at
        except FileNotFoundError:
            return  # gone since it was listed: a journal's file that was no longer needed
        except OSError:
            self.unread.append(place)

    def folder(self, path: Path, since_ns: int = 0) -> None:
        """Look at all files below a folder that changed since a time; links are not followed."""
        for file in files_below(path, since_ns):
            self.file(file)

    def _look(self, place: str, data: bytes, before: int) -> None:
        if not data.strip(b"\0"):
            return  # room that was set aside, such as the journal's reserve
        self._add(self.canary.find(data, place), "", before)
        for packing, inner in unpacked(data):
            self._add(self.canary.find(inner, place), packing, 0)

    def _add(self, hits: Iterable[Hit], packing: str, before: int) -> None:
        for hit in hits:
            form = f"{packing}, {hit.form}" if packing else hit.form
            if not any((one.place, one.form) == (hit.place, form) for one in self.hits):
                self.hits.append(replace(hit, form=form, at=hit.at + before))


def files_below(folder: Path, since_ns: int = 0) -> Iterator[Path]:
    """Plain files below a folder that were changed or made since a time, Unix nanoseconds."""
    for name, folders, files in os.walk(folder):
        folders.sort()
        for one in sorted(files):
            path = Path(name, one)
            try:
                status = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and max(status.st_mtime_ns, status.st_ctime_ns) >= since_ns:
                yield path
