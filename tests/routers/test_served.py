"""The classifier of a fitted file: scores for each pair, no task, no text no score."""

import random
from pathlib import Path

import orjson
import pytest

from gateway.content import EMPTY, Content
from gateway.contracts import Call, Envelope, Labels
from gateway.dialects import openai_chat
from gateway.names import Slug
from gateway.quality.fitted import Fitted, dump, score_name
from gateway.quality.fitting import Feedback, fit
from gateway.records import PathKind
from gateway.routers.classifiers.served import Served


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    chance = random.Random(2)
    rows = [
        Feedback(prompt=f"{word} it {chance.randrange(9)}", group="", cheap=cheap, requested=1.0)
        for _ in range(60)
        for word, cheap in (("spell", 1.0), ("prove", 0.0))
    ]
    found = fit(rows, b"key", 0.9, 0.9)
    assert found is not None
    one = Fitted(
        requested=Slug("p/large"),
        candidate=Slug("p/small"),
        model=found.model,
        curve=found.curve,
        threshold=900,
        facts={},
    )
    made = tmp_path_factory.mktemp("fitted") / "fitted.json"
    made.write_bytes(dump([one]))
    return str(made)


def labels(path: str, content: object) -> Labels:
    body = Content(orjson.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}))
    call = openai_chat.read_call(Envelope(kind=PathKind.CHAT, body=body))
    return Served(Served.Config(file=path)).labels(call)


def test_prompts_get_the_score_of_each_pair(path: str) -> None:
    name = score_name(Slug("p/large"), Slug("p/small"))
    easy, hard = labels(path, "spell it 3"), labels(path, "prove it 3")
    assert 1000 >= easy.scores[name] > 800 > 300 > hard.scores[name] >= 0
    assert (easy.task, easy.confidence) == ("other", 0)
    assert Served.always is True


def test_without_text_there_is_no_score(path: str) -> None:
    assert labels(path, "").scores == {}
    form = Call(
        dialect=Slug("openai_transcription"), kind=PathKind.TRANSCRIPTION, model="m", stream=False, body=EMPTY
    )
    assert Served(Served.Config(file=path)).labels(form).scores == {}


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Served(Served.Config(file=str(tmp_path / "nothing")))
