"""Finding and loading plugins: ours and others', by entry points, through one door."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gateway.names import Slug, is_name

GROUPS = ("gateway.providers", "gateway.routers", "gateway.classifiers", "gateway.stores")


class PluginError(Exception):
    """A plugin is missing, claimed twice, or cannot be imported. Names the package, quotes nothing else."""


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """An entry point, not imported yet."""

    group: str
    name: Slug
    package: str
    version: str
    target: str
    point: EntryPoint = field(compare=False, repr=False)

    def load(self) -> Any:
        """Import it.

        Raises:
            PluginError: it cannot be imported.
        """
        try:
            return self.point.load()
        except Exception as error:  # whatever another package's import does, the user learns whose it was
            raise PluginError(
                f"{self.group}: {self.name} of {self.package} cannot be imported ({type(error).__name__})"
            ) from None


def find(group: str) -> dict[Slug, Found]:
    """All plugins of a group, by name; none is imported.

    Raises:
        PluginError: two packages claim the same name.
    """
    found: dict[Slug, Found] = {}
    for plugin in sorted(_installed(group)):
        other = found.setdefault(plugin.name, plugin)
        if other.target != plugin.target:
            raise PluginError(
                f"{group}: {plugin.name} is claimed by {other.package} and by {plugin.package}; uninstall one"
            )
    return found


def load(group: str, name: str) -> Any:
    """The class behind a name.

    Raises:
        PluginError: nobody offers that name.
    """
    found = find(group)
    if name not in found:
        raise PluginError(f"{group}: no plugin is called {name}; installed: {', '.join(found) or 'none'}")
    return found[Slug(name)].load()


def _installed(group: str) -> Iterable[Found]:
    places = tuple((place, _changed_ns(place)) for place in sys.path)
    for point in _scan(group, places):
        if not is_name(point.name):
            raise PluginError(f"{group}: an entry point's name is no name")
        name = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        yield Found(group, Slug(point.name), name, version, point.value, point)


@lru_cache(maxsize=2 * len(GROUPS))
def _scan(group: str, places: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    """A group's entry points. Reading them takes 10 ms and more, so it is done once, until something is
    installed: that changes the folder it is installed into."""
    return tuple(entry_points(group=group))


def _changed_ns(place: str) -> int:
    try:
        return os.stat(place or ".").st_mtime_ns
    except OSError:
        return 0
