"""The tree: which rows make one, and what every installation has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import tree
from gateway.accounts.tree import ORGANISATION, PLATFORM, PROJECT, RESELLER, TreeError
from gateway.contracts import NodeRow
from gateway.names import Slug
from gateway.store.memory import MemoryStore


def node(id: str, parent: str | None, kind: str, name: str | None = None) -> NodeRow:
    return NodeRow(
        id=Slug(id), parent=parent and Slug(parent), kind=Slug(kind), name=Slug(name or id), created_ms=0
    )


ROOT = node("root", None, PLATFORM)


def built(*rows: NodeRow) -> dict[Slug, NodeRow]:
    nodes = {row.id: row for row in rows}
    for id in nodes:
        tree.path(nodes, id)
    return nodes


def code(*rows: NodeRow) -> str:
    with pytest.raises(TreeError) as caught:
        built(*rows)
    return caught.value.code


def test_resellers_and_organisations_nest_to_any_depth():
    rows = [
        ROOT,
        node("r1", "root", RESELLER),
        node("r2", "r1", RESELLER),
        node("o1", "r2", ORGANISATION),
        node("o2", "o1", ORGANISATION),
        node("p", "o2", PROJECT),
    ]
    nodes = built(*rows)
    path = tree.path(nodes, Slug("p"))
    assert [row.id for row in path] == ["root", "r1", "r2", "o1", "o2", "p"]
    assert tree.nearest(path, ORGANISATION) == "o2"
    assert tree.nearest(path, PROJECT) == "p"
    assert tree.nearest(path[:2], ORGANISATION) is None


@pytest.mark.parametrize(
    ("kind", "parent", "allowed"),
    [
        (kind, parent, rank > 0 and over <= rank and not (kind == parent == PROJECT))
        for rank, kind in enumerate((PLATFORM, RESELLER, ORGANISATION, PROJECT))
        for over, parent in enumerate((PLATFORM, RESELLER, ORGANISATION, PROJECT))
    ],
)
def test_the_kinds_nest_in_one_order(kind, parent, allowed):
    rows = [ROOT] if parent == PLATFORM else [ROOT, node("parent", "root", parent)]
    rows.append(node("child", rows[-1].id, kind))
    if allowed:
        assert built(*rows)
    else:
        assert code(*rows) == "wrong_parent"


def test_what_is_no_tree_is_refused():
    assert code(node("o", None, ORGANISATION)) == "wrong_parent"
    assert code(ROOT, node("o", "nobody", ORGANISATION)) == "unknown_node"
    assert code(ROOT, node("o", "root", "team")) == "unknown_kind"


def test_a_circle_is_refused():
    assert code(ROOT, node("a", "b", RESELLER), node("b", "a", RESELLER)) == "too_deep"
    assert code(ROOT, node("a", "a", RESELLER)) == "too_deep"


@pytest.mark.parametrize(("depth", "fits"), [(16, True), (17, False)])
def test_a_path_has_at_most_sixteen_nodes(depth, fits):
    rows = [ROOT]
    for number in range(depth - 1):
        rows.append(node(f"r{number}", rows[-1].id, RESELLER))
    if fits:
        assert len(tree.path(built(*rows), rows[-1].id)) == 16
    else:
        assert code(*rows) == "too_deep"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=10))
def test_rows_of_any_shape_end_in_a_tree_or_a_tree_error(edges):
    rows = [ROOT] + [node(f"n{a}", f"n{b}" if b else "root", RESELLER) for a, b in edges]
    try:
        nodes = built(*rows)
    except TreeError:
        return
    assert all(tree.path(nodes, id)[0] == ROOT for id in nodes)


async def test_the_first_start_makes_a_platform_an_organisation_and_a_project():
    store = MemoryStore()
    project = await tree.ensure_root(store)
    nodes = built(*(await store.accounts.load()).nodes)
    assert [(row.kind, row.name) for row in tree.path(nodes, project)] == [
        (PLATFORM, "platform"),
        (ORGANISATION, "default"),
        (PROJECT, "default"),
    ]


async def test_a_later_start_changes_nothing():
    store = MemoryStore()
    await tree.ensure_root(store)
    version = await store.accounts.version()
    await tree.ensure_root(store)
    assert await store.accounts.version() == version


def test_a_new_node_is_added_where_it_may_be() -> None:
    nodes = built(ROOT, node("a", "root", ORGANISATION, "acme"))
    fresh = tree.new_node(Slug("a"), PROJECT, Slug("acme"))
    tree.check_new(nodes, fresh)
    assert (fresh.kind, fresh.parent, fresh.disabled) == (PROJECT, "a", False)
    for wrong, expected, about in (
        (tree.new_node(Slug("root"), PROJECT, Slug("acme")), "double_name", "a"),
        (tree.new_node(Slug("a"), RESELLER, Slug("x")), "wrong_parent", None),
        (tree.new_node(Slug("nobody"), PROJECT, Slug("x")), "unknown_node", "nobody"),
    ):
        with pytest.raises(TreeError) as caught:
            tree.check_new(nodes, wrong)
        assert (caught.value.code, caught.value.node) == (expected, about or wrong.id)
