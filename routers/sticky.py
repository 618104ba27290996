"""The same target for what belongs together: a session, a key, or calls that begin with the same words."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug
from gateway.routers import declared

REASON = Slug("sticky")


class Sticky:
    """A consistent hash: what belongs together stays together, without anything being remembered.

    Each target gets a number out of its name and what is held on to, and the highest comes first
    (rendezvous hashing). A target that is taken away or set aside moves only its own calls; they come back
    when it does. by = "prompt" follows a digest of the beginning of the prompt, keyed by a secret of the
    process: providers bill what they have in their prompt cache at a fraction.

    Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous".
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """targets: models, or provider/model, of about the same worth. by: what is held on to; a call
        without a session header counts by its key."""

        targets: tuple[str, ...]
        by: Literal["session", "prompt"] = "session"

    def __init__(self, config: Config) -> None:
        self._targets = declared.targets(config.targets)
        self.by_prompt = config.by == "prompt"

    def targets(self) -> tuple[str, ...]:
        """All targets."""
        return self._targets

    def plan(self, question: Question) -> Choice:
        """The target that the hash gives, then the next ones; the sick last."""
        held = question.affinity if self.by_prompt and question.affinity is not None else question.session
        candidates = question.candidates
        known = [name for name in self._targets if name in candidates]
        order = sorted(known, key=lambda name: (candidates[name].healthy, _draw(held, name)), reverse=True)
        return Choice(order=tuple(order), reason=REASON)


def _draw(held: int, name: Slug) -> bytes:
    return blake2b(name.encode("ascii"), digest_size=8, key=held.to_bytes(8, "big")).digest()


if TYPE_CHECKING:
    _: type[Router] = Sticky
