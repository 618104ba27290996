"""Which node is meant by an id or a name on the command line, at any depth of the tree."""

from collections.abc import Iterable
from difflib import get_close_matches

from gateway.accounts import tree
from gateway.commands.desk import CommandError
from gateway.contracts import NodeRow
from gateway.names import Slug

# Names are unique only below one parent, so a name may mean several nodes; an id means one. Where
# both could be meant, the id wins.


class Naming:
    """Finds nodes, and says what else could have been meant.

    Attributes:
        nodes: by id.
    """

    def __init__(self, nodes: Iterable[NodeRow]) -> None:
        self.nodes = {row.id: row for row in nodes}

    def find(
        self, text: str, option: str, kind: Slug | None = None, below: NodeRow | None = None
    ) -> NodeRow | None:
        """The node that is meant; None if there is none.

        Args:
            kind: only nodes of this kind. below: only nodes somewhere below this one.

        Raises:
            CommandError: several have this name; the text lists their ids.
        """
        found = [row for row in self._of(kind) if row.name == text and self._is_below(row, below)]
        for row in self._of(kind):
            if row.id == text and self._is_below(row, below):
                return row
        if len(found) > 1:
            places = "".join(f"\n  {row.id} ({self.title(row)})" for row in found)
            raise CommandError(f"{option}: {len(found)} nodes have this name; take the id of one:{places}")
        return found[0] if found else None

    def get(self, text: str, option: str) -> NodeRow:
        """The node that is meant.

        Raises:
            CommandError: there is none, or several have this name.
        """
        row = self.find(text, option)
        if row is None:
            raise CommandError(
                f"{option}: no node has this id or name.{self.near(text)} See gateway node list"
            )
        return row

    def near(self, text: str, kind: Slug | None = None) -> str:
        """What else could have been meant, as a question after a space; empty if nothing comes near."""
        called: dict[str, list[NodeRow]] = {}
        for row in self._of(kind):
            called.setdefault(row.name.lower(), []).append(row)
            called.setdefault(row.id.lower(), []).append(row)
        asked = text.lower()
        # What is called just so, in another place, is meant: nothing that only comes near beside it.
        names = [asked] if asked in called else get_close_matches(asked, called)
        rows = {row.id: row for name in names for row in called[name]}
        meant = [f"{row.id} ({self.title(row)})" for row in rows.values()]
        return f" Did you mean {' or '.join(meant[:3])}?" if meant else ""

    def title(self, row: NodeRow) -> str:
        """A node's name behind those of the nodes above it."""
        return " > ".join(one.name for one in self.path(row)[1:] or (row,))

    def path(self, row: NodeRow) -> tuple[NodeRow, ...]:
        """From the root down to a node; empty when it has no place in the tree."""
        try:
            return tree.path(self.nodes, row.id)
        except tree.TreeError:
            return ()

    def is_open(self, row: NodeRow) -> bool:
        """Whether the node has a place in the tree, and neither it nor one above it is disabled."""
        path = self.path(row)
        return bool(path) and not any(one.disabled for one in path)

    def _of(self, kind: Slug | None) -> list[NodeRow]:
        return [row for row in self.nodes.values() if kind is None or row.kind == kind]

    def _is_below(self, row: NodeRow, above: NodeRow | None) -> bool:
        return above is None or above in self.path(row)[:-1]
