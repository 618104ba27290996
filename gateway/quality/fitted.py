"""Fitted models in a file: JSON, with the weights packed; names, numbers and hashes only."""

from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.names import Slug, is_name
from gateway.quality.calibration import Curve
from gateway.quality.features import SHAPES, WIDTH
from gateway.quality.fitting import Model, Reader

FORM: Final = "tollgate-fitted-1"
MOST_BYTES: Final = 64 << 20


class FittedError(ValueError):
    """The file cannot be used. The text is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A model of one pair, ready to decide.

    Attributes:
        threshold: thousandths of p_ok from which on the candidate is asked.
        facts: what was measured out of fold, for the report.
    """

    requested: Slug
    candidate: Slug
    model: Model
    curve: Curve
    threshold: int
    facts: Mapping[str, float]

    def p_ok(self, reader: Reader) -> int:
        """How likely the candidate serves a prompt as well, in thousandths; 0 for prompts of another kind."""
        if not self.model.knows(reader):
            return 0
        return round(self.curve.probability(self.model.score(reader)) * 1000)


def score_name(requested: Slug, candidate: Slug) -> Slug:
    """The name of p_ok among the scores of Labels: "ok:REQUESTED:CANDIDATE".

    Raises:
        ValueError: both names together are too long.
    """
    return Slug(f"ok:{requested}:{candidate}")


def dump(fitted: Sequence[Fitted]) -> bytes:
    """The file's text."""
    return orjson.dumps({"form": FORM, "pairs": [_tree(one) for one in fitted]}, option=orjson.OPT_INDENT_2)


def load(path: Path) -> tuple[Fitted, ...]:
    """What a file holds.

    Raises:
        FittedError: it cannot be read, or is not such a file.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise FittedError("the file of fitted models is too large")
        tree = orjson.loads(path.read_bytes())
        if tree["form"] != FORM:
            raise FittedError("the file of fitted models is of another form; fit it again")
        return tuple(_pair(one) for one in tree["pairs"])
    except FittedError:
        raise
    except OSError:
        raise FittedError("the file of fitted models cannot be read") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FittedError("the file of fitted models is not one that routes fit wrote") from None


def load_thresholds(path: Path) -> dict[tuple[Slug, Slug], int]:
    """The thresholds of a file, by requested model and candidate.

    Raises:
        FittedError: see load().
    """
    return {(one.requested, one.candidate): one.threshold for one in load(path)}


def _tree(one: Fitted) -> dict[str, Any]:
    model = one.model
    return {
        "requested": one.requested,
        "candidate": one.candidate,
        "threshold": one.threshold,
        "facts": dict(one.facts),
        "curve": [one.curve.offset, one.curve.slope],
        "key": model.key.hex(),
        "base": model.base,
        "means": list(model.means),
        "scales": list(model.scales),
        "groups": sorted(model.groups, key=lambda name: model.groups[name]),
        "known": b64encode(array("I", sorted(model.known)).tobytes()).decode(),
        "least_known": model.least_known,
        "weights": b64encode(array("f", model.weights).tobytes()).decode(),
    }


def _pair(tree: dict[str, Any]) -> Fitted:
    requested, candidate = Slug(tree["requested"]), Slug(tree["candidate"])
    score_name(requested, candidate)  # must be a name
    weights = array("f", b64decode(tree["weights"], validate=True))
    groups = {str(name): WIDTH + place for place, name in enumerate(tree["groups"])}
    means, scales = (tuple(map(float, tree[name])) for name in ("means", "scales"))
    offset, slope = map(float, tree["curve"])
    if len(weights) != WIDTH + len(groups) or not len(means) == len(scales) == SHAPES:
        raise ValueError("sizes do not fit")
    if not all(map(is_name, groups)) or 0.0 in scales:
        raise ValueError("a value is not valid")
    return Fitted(
        requested=requested,
        candidate=candidate,
        model=Model(
            key=bytes.fromhex(tree["key"]),
            weights=weights,
            means=means,
            scales=scales,
            groups=groups,
            base=float(tree["base"]),
            known=frozenset(array("I", b64decode(tree["known"], validate=True))),
            least_known=float(tree["least_known"]),
        ),
        curve=Curve(offset, slope),
        threshold=int(tree["threshold"]),
        facts={str(name): float(value) for name, value in tree["facts"].items()},
    )
