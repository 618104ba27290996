"""What every classifier promises: a name and a number for any call, for each that is installed."""

import random
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import config, plugins
from gateway.adapter_scripts import Script, generic_scripts
from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Classifier, Labels, Shape
from gateway.dialects import DIALECTS
from gateway.names import Slug
from gateway.quality.fitted import Fitted, dump
from gateway.quality.fitting import Feedback, fit
from gateway.records import PathKind

NAMES = sorted(plugins.find("gateway.classifiers"))
SCRIPTS = [script for dialect in DIALECTS for script in generic_scripts(dialect)]


@pytest.fixture(params=NAMES)
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return made(request.param)


@cache
def fitted() -> bytes:
    """A file for classifiers that need one."""
    chance = random.Random(2)
    rows = [
        Feedback(prompt=f"{word} it {chance.randrange(9)}", group="", cheap=cheap, requested=1.0)
        for _ in range(60)
        for word, cheap in (("spell", 1.0), ("prove", 0.0))
    ]
    found = fit(rows, b"key", 0.9, 0.9)
    assert found is not None
    large, small = Slug("p/large"), Slug("p/small")
    one = Fitted(
        requested=large, candidate=small, model=found.model, curve=found.curve, threshold=900, facts={}
    )
    return dump([one])


@cache
def made(name: str) -> Classifier:
    kind = plugins.load("gateway.classifiers", name)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fitted.json"
        path.write_bytes(fitted())
        options = {"file": str(path)} if any(one.name == "file" for one in fields(kind.Config)) else {}
        classifier: Classifier = kind(config.parse_options(kind.Config, options, "here"))
    return classifier


def assert_sound(labels: Labels) -> None:
    assert type(labels.task) is Slug
    assert type(labels.classifier) is Slug
    assert type(labels.confidence) is int
    assert 0 <= labels.confidence <= 1000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_it_labels_each_form_of_call_and_changes_none(classifier: Classifier, script: Script) -> None:
    call = DIALECTS[script.dialect].read_call(script.envelope)
    before = opened(call)
    first = classifier.labels(call)
    assert_sound(first)
    assert classifier.labels(call) == first
    assert opened(call) == before


def opened(call: Call) -> bytes:
    if isinstance(call.body, Document):
        return orjson.dumps(call.body.open(Purpose.READ))
    return call.body.open(Purpose.READ)


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
bodies = st.dictionaries(
    st.sampled_from(["messages", "input", "contents", "system", "tools", "model"]), trees
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(
    body=bodies, kind=st.sampled_from(PathKind), numbers=st.lists(st.integers(0, 3), min_size=4, max_size=4)
)
def test_no_body_upsets_it(name: str, body: dict[str, Any], kind: PathKind, numbers: list[int]) -> None:
    tools, images, audio, files = numbers
    shape = Shape(body_bytes=10, tools=tools, images=images, audio=audio, files=files)
    for content in (Document(body, 10), Content(orjson.dumps(body))):
        call = Call(
            dialect=Slug("openai_chat"), kind=kind, model="m", stream=False, body=content, shape=shape
        )
        assert_sound(made(name).labels(call))
