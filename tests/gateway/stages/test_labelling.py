"""When a call is labelled: while its provider works, unless a route must know the label first."""

import asyncio
from pathlib import Path

from gateway.contracts import Call, Labels, Permit, UpstreamRequest
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.names import Slug
from gateway.stages.classify import Classify
from tests.fakes.flow import ScriptedAnswer, Stand, stand, whole


class Diary:
    """A classifier and a provider that note the order of what happens."""

    def __init__(self, made: Stand) -> None:
        self.notes: list[str] = []
        self._made = made
        self._open = made.exit.open
        made.flow.classify._classifiers = (self,)  # type: ignore[assignment]
        made.flow.classify._scoring = [False]
        made.exit.open = self.open  # type: ignore[method-assign]

    def labels(self, call: Call) -> Labels:
        self.notes.append("labelled")
        return Labels(task=Slug("chat"), confidence=900, classifier=Slug("diary"))

    async def open(self, request: UpstreamRequest, permit: Permit) -> ScriptedAnswer:
        self.notes.append("asked")
        await asyncio.sleep(0)
        self.notes.append("answered")
        return await self._open(request, permit)


async def test_a_plain_model_is_asked_before_the_call_is_labelled(tmp_path: Path) -> None:
    made = stand(tmp_path, (200, [whole()]))
    diary = Diary(made)
    _, sink = await made.call()
    assert diary.notes == ["asked", "labelled", "answered"]
    assert ("x-gateway-task", "chat") in sink.extra
    assert (made.records[0].task, made.records[0].task_confidence) == ("chat", 900)


async def test_a_route_knows_the_label_first(tmp_path: Path) -> None:
    made = stand(tmp_path, (200, [whole()]))
    diary = Diary(made)
    await made.call({"model": "both"})
    assert diary.notes == ["labelled", "asked", "answered"]


async def test_a_refused_call_is_not_labelled(tmp_path: Path) -> None:
    made = stand(tmp_path)
    diary = Diary(made)
    exchange, _ = await made.call({"model": "nobody-knows"})
    assert isinstance(exchange.error, GatewayError)
    assert diary.notes == []
    assert made.records[0].task is None


async def test_a_label_is_named_once(tmp_path: Path) -> None:
    made = stand(tmp_path, (500, [b"no"]), (200, [whole()]))
    diary = Diary(made)
    exchange, _ = await made.call()
    assert diary.notes.count("labelled") == 1
    exchange.label()
    assert exchange.labels.task == "chat"


async def test_labels_can_be_read_at_any_time_after_the_stage(tmp_path: Path) -> None:
    made = stand(tmp_path, (200, [whole()]))
    exchange, _ = await made.call()
    other = Exchange(Slug("req-2"), 1, 1, exchange.client, None, exchange.peer)
    other.call = exchange.call
    await Classify([])(other)
    assert other.labels == Labels()
