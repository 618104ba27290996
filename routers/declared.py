"""The names of targets as a policy's configuration declares them."""

from collections.abc import Iterable

from gateway.names import Slug, is_name


def target(text: str, key: str) -> Slug:
    """The name of a model, provider/model or policy.

    Args:
        key: where it stands, for the error.

    Raises:
        ValueError: it is no name.
    """
    if not is_name(text):
        raise ValueError(f"{key}: a name has letters, digits and . _ : / @ + - only, at most 128")
    return Slug(text)


def targets(texts: Iterable[str], key: str = "targets") -> tuple[Slug, ...]:
    """The same of several, in their order.

    Raises:
        ValueError: there is none, one is no name, or one comes twice.
    """
    names = tuple(target(text, f"{key}.{place}") for place, text in enumerate(texts))
    if not names:
        raise ValueError(f"{key}: name at least one model, provider/model or policy")
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"{key}.{place}: {name} comes twice")
    return names
