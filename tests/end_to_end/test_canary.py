"""The proof: after calls of every kind, well and badly ended, nothing of their content is anywhere.

Marks are put wherever a caller or a provider can put text; then every file that the gateway could have
written, all it printed, and all its pages and commands show are searched for any piece of them. That the
search would find a leak is shown by test_leaks_are_found.py.
"""

import asyncio
import gc
import json
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import cli, log
from gateway.content import Content, Document
from gateway.exchange import Exchange
from gateway.ledger import replay
from gateway.log import Level
from gateway.privacy import bodies, travelling
from gateway.privacy.calling import Calls, Door, send
from gateway.privacy.canary import Canary
from gateway.privacy.cases import Case, Cases
from gateway.privacy.search import Search, files_below
from tests.campaigns import strace_canary
from tests.end_to_end.proof import COMMANDS, OFFERS, PAGES, TOP, Proof, told
from tests.fakes.odd_provider import BUGS, LATER_BUGS
from tests.installation import Installation
from tests.upstream import CUT, Scripted, Upstream

DIALECTS = tuple(bodies.CONVERSATIONS)
MODELS = dict(
    zip(DIALECTS, ("gpt-4o-mini", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"), strict=True)
)
"""What the dialects' own providers offer."""
SPOKEN = {**MODELS, "openai_chat": "chatty/gpt-4o-mini", "openai_responses": "responder/gpt-4o-mini"}
"""The same, where each is offered in one dialect only."""


@pytest.fixture
def said(tmp_path: Path) -> Iterator[Path]:
    """The log of this process, at its most talkative, in a file of the test."""
    path = tmp_path / "said"
    with path.open("w") as out:
        log.configure(Level.DEBUG, out)
        yield path
    log.configure()


async def search_all(installation: Installation, canary: Canary, folder: Path, *more: bytes) -> Search:
    await asyncio.sleep(0.05)
    search = Search(canary)
    door = Door("127.0.0.1", int(installation.admin_url.rpartition(":")[2]))
    for path in ("/metrics", "/admin/config", "/admin/keys", "/admin/usage?by=model_requested,error_code"):
        head = f"GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {installation.admin_token}\r\n"
        search.data(path, await send(door, Case(name=path, sent=f"{head}connection: close\r\n\r\n".encode())))
    for data in more:
        search.data("heads of answers", data)
    search.folder(folder)
    return search


async def test_no_kind_of_call_leaves_a_trace(tmp_path: Path) -> None:
    async with Proof(tmp_path) as proof:
        await proof.calls.run(proof.door, proof.cases.all())
        await proof.settle()
        search = await proof.search()
        assert search.clean, told(search.hits)
        printed = [await proof.command(*words) for words in COMMANDS]
        search.data("commands", b"\n".join([*printed, *[one async for one in explained(proof)]]))
        search.data("admin", b"\n".join([one async for one in administered(proof)]))
        search.folder(tmp_path)
        assert search.clean, told(search.hits)
        assert proof.calls.outcomes.total() > 1200
        assert proof.calls.outcomes["200"] > 600
        reasons = {json.loads(line)["route_reason"] for line in printed[1].splitlines()}
        assert reasons > {"sticky", "seen", "quality_declared", "canary-trial", "fallback", "policy_failed"}
    search = await proof.search()  # once more, after its end
    assert search.clean, told(search.hits)


async def explained(proof: Proof) -> AsyncIterator[bytes]:
    """What the dry run of calls in each dialect prints, and of what is no call."""
    for dialect, make in travelling.BODIES.items():
        body = orjson.dumps({**make(proof.canary, "", False), "model": "tasks"})
        printed = await proof.command("explain", "--dialect", dialect, "--json", told=body)
        assert json.loads(printed.splitlines()[-1])["candidates"], dialect
        yield printed
    yield await proof.command("explain", told=proof.canary.mark("explained text").encode(), code=2)


async def administered(proof: Proof) -> AsyncIterator[bytes]:
    """What the admin listener says to calls that are explained, and to judgements that are not accepted."""
    for model in ("echo-1", *OFFERS.only.values(), *OFFERS.routes):
        body = travelling.chat(proof.canary, "", False)
        answer = await proof.admin_post("/admin/explain", orjson.dumps({**body, "model": model}))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["candidates"], model
        yield answer
    for turns in (*bodies.odd_turns(proof.canary), proof.canary.mark("turns")):
        answer = await proof.admin_post("/admin/explain", orjson.dumps({"model": "tasks", "messages": turns}))
        assert answer[9:12] == b"200"
        yield answer
    for name, rows in bodies.odd_outcomes(proof.canary).items():
        answer = await proof.admin_post("/admin/outcomes", rows)
        assert answer[9:12] == (b"200" if name == "a call that is not known" else b"400"), name
        yield answer
    yield await proof.admin_post("/admin/explain", proof.canary.mark("no call").encode())


async def test_commands_that_read_prompts_write_none_of_them(tmp_path: Path) -> None:
    """The operator's own files and answers are outside; what stays with the gateway is searched."""
    proof = Proof(tmp_path / "place")
    chance, mark = random.Random(7), proof.canary.mark
    rows = []
    for number in range(600):
        hard = chance.random() < 0.5
        words = (
            f"{mark('hard prompt')} prove it {number}" if hard else f"{mark('easy prompt')} tell it {number}"
        )
        well = int(chance.random() < (0.1 if hard else 0.99))
        rows.append({
            "prompt": words, "task": "open_qa", "group": mark("group of a row"), "requested": "chatty/echo-1",
            "candidate": "small", "q": {"chatty/echo-1": 1, "small": well},
        })  # fmt: skip
    data = tmp_path / "rows.jsonl"
    data.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    lines = [orjson.dumps({"id": at, **row, "messages": [{"role": "user", "content": row["prompt"]}]})
             for at, row in enumerate(rows[:50])]  # fmt: skip
    lines += [orjson.dumps({"messages": turns}) for turns in bodies.odd_turns(proof.canary)]
    labelled = await proof.command("classify", told=b"\n".join(lines), code=1)
    assert labelled.count(b'"label"') > 50
    fitting = await proof.command("routes", "fit", "--data", str(data), "--floor", "0.9")
    assert b"written to" in fitting, fitting
    decided = await proof.command("route-eval", "--feedback", str(data), "--prompts", str(data))
    assert decided.count(b'"p_ok"') == 600
    search = Search(proof.canary)
    search.data("printed", labelled + fitting + decided)
    search.folder(proof.folder)
    assert search.clean, told(search.hits)
    fitted = (proof.work / "gateway-data/fitted.json").read_bytes()
    assert [one for one in (b"prove", b"tell", b"prompt", b"group") if one in fitted.lower()] == [b"group"]
    assert json.loads(fitted)["pairs"][0]["groups"] == []


async def test_several_workers_with_debug_switches_leave_no_trace(tmp_path: Path) -> None:
    async with Proof(tmp_path, workers=2, PYTHONASYNCIODEBUG="1", PYTHONDEVMODE="1") as proof:
        await proof.calls.run(proof.door, proof.cases.conversations(("", "status=500", "cut=2", "error=2")))
        await proof.calls.run(proof.door, proof.cases.departures())
        await proof.calls.run(proof.door, proof.cases.malformed_heads())
        await proof.settle()
        search = await proof.search()
    assert search.clean, told(search.hits)
    search = await proof.search()
    assert search.clean, told(search.hits)


async def test_bugs_with_the_text_at_hand_leave_no_trace(tmp_path: Path) -> None:
    async with Proof(tmp_path, PYTHONASYNCIODEBUG="1", PYTHONDEVMODE="1") as proof:
        for deed in (*BUGS, *LATER_BUGS):
            for stream in (False, True):
                await proof.chat(f"odd/{deed}", proof.canary.mark(f"{deed}"), stream)
        await proof.settle()
        healthy = await proof.chat("echo-1", proof.canary.mark("after all that"))
        assert healthy[9:12] == b"200"
        search = await proof.search()
        assert search.clean, told(search.hits)
    search = await proof.search()
    assert search.clean, told(search.hits)
    assert "ValueError" in (tmp_path / "err").read_text()  # types are told, texts are not


async def test_a_process_that_is_killed_leaves_no_trace_and_its_calls_are_counted(tmp_path: Path) -> None:
    async with Proof(tmp_path) as proof:
        slow = [proof.cases.conversation(dialect, "tokens=400,delay=0.01", True) for dialect in DIALECTS]
        calls = [asyncio.ensure_future(send(proof.door, case)) for case in slow for _ in range(3)]
        waiting = asyncio.ensure_future(proof.chat("odd/wait", proof.canary.mark("waiting")))
        await asyncio.sleep(0.25)
        await proof.stop(signal.SIGKILL)
        answers = await asyncio.gather(*calls, waiting)
        assert all(answer[9:12] == b"200" for answer in answers[:-1])
        search = await proof.search()
        assert search.clean, told(search.hits)
        left = replay.replay(proof.work / "gateway-data/journal")
        assert len(left) == 13
        assert all(record.outcome == "interrupted" for record in left)
        # What was held is what such a call is counted at.
        assert all(record.cost_nanos == record.held_nanos for record in left if record.priced)
        assert sum(record.priced and record.held_nanos > 0 for record in left) == 12
        await proof.start()
        await proof.settle()
        exported = await proof.command("export")
        assert exported.count(b'"outcome":"interrupted"') == 13
        search = await proof.search()
        search.data("export", exported)
        assert search.clean, told(search.hits)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A provider over HTTP."""
    async with Upstream() as upstream:
        yield upstream


def answers(canary: Canary) -> dict[str, Scripted]:
    """What providers have answered, or could, with marks in it."""
    mark = canary.mark
    events = [("content-type", "text/event-stream")]
    plain = [("content-type", "application/json")]
    delta = {
        "choices": [{"index": 0, "delta": {
            "reasoning": mark("reasoning"), "reasoning_content": mark("reasoning content"),
            "content": mark("delta"), "refusal": mark("refusal"), "audio": {"transcript": mark("heard")},
            "tool_calls": [{"index": 0, "function": {"name": mark("tool"), "arguments": mark("argument")}}],
        }}],
        "model": mark("model in an answer"), "id": mark("id of an answer"),
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, mark("usage field"): mark("usage value")},
    }  # fmt: skip
    event = b"data: " + orjson.dumps(delta) + b"\n\n"
    error = {"error": {
        "message": f"Incorrect key or prompt: {mark('provider error')}", "type": mark("error type"),
        "code": mark("error code"), "param": mark("error param"), "failed_generation": mark("failed"),
    }}  # fmt: skip
    head = [
        ("x-request-id", "req_1"), ("set-cookie", mark("cookie of a provider")),
        ("server", mark("server")), ("openai-organization", mark("organisation")),
        ("x-odd", mark("odd field")), ("retry-after", "1"),
    ]  # fmt: skip
    found = {
        f"error {status}": Scripted(status, [*plain, *head], [orjson.dumps(error)])
        for status in (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 498, 500, 502, 503, 529)
    }
    found |= {
        "whole": Scripted(200, [*plain, *head], [orjson.dumps(delta)]),
        "stream": Scripted(200, [*events, *head], [event, event, b"data: [DONE]\n\n"]),
        "named events": Scripted(200, events, [b"event: " + mark("event name").encode() + b"\n" + event]),
        "comment": Scripted(200, events, [b": " + mark("comment").encode() + b"\n\n", event]),
        "cut": Scripted(200, events, [event, event[:40], CUT]),
        "cut at once": Scripted(200, events, [CUT]),
        "garbled": Scripted(200, events, [b"data: {" + mark("garbled").encode() + b"\n\n"] * 3),
        "no lines": Scripted(200, events, [mark("no lines").encode() * 4000]),
        "an error in the stream": Scripted(200, events, [event, b"data: " + orjson.dumps(error) + b"\n\n"]),
        "error that is no JSON": Scripted(500, [("content-type", "text/html")], [mark("page").encode()]),
        "error that is large": Scripted(500, plain, [mark("large").encode() * 10_000]),
        "redirect": Scripted(307, [("location", f"https://a.test/{mark('location')}")], []),
        "odd status": Scripted(299, [*plain, *head], [orjson.dumps(delta)]),
        "packed": Scripted(200, [*plain, ("content-encoding", mark("encoding"))], [orjson.dumps(delta)]),
        "no answer": Scripted(200, events, [event, 0.4, event]),
        "wrong numbers": Scripted(200, plain, [b'{"usage":{"prompt_tokens":"' + mark("n").encode() + b'"}}']),
    }
    return found


async def test_nothing_that_a_provider_says_leaves_a_trace(
    start: Any, upstream: Upstream, tmp_path: Path, said: Path
) -> None:
    keys = {"api_key": "sk-of-the-operator", "allow_private": True}
    tree = {
        "providers": {
            "openai": {"base_url": upstream.openai, **keys},
            "anthropic": {"base_url": upstream.anthropic, **keys},
            "gemini": {"base_url": upstream.gemini, **keys},
            "chatty": {"use": "openai", "base_url": upstream.openai, "dialects": ["openai_chat"], **keys},
            "responder": {
                "use": "openai",
                "base_url": upstream.openai,
                "dialects": ["openai_responses"],
                **keys,
            },
        },
        "prices": {"unknown": "record"},
        "upstream": {"attempts": 2, "breaker": False, "gap_timeout": "200ms", "first_byte_timeout": "200ms"},
    }
    installation = await start(tree)
    canary, calls = Canary(), Calls()
    door = Door("127.0.0.1", installation.port)
    cases = Cases(canary, f"127.0.0.1:{installation.port}", installation.key)
    asked_of_all = [*MODELS.items(), *((caller, SPOKEN[to]) for caller, to in permutations(SPOKEN, 2))]
    for name, answer in answers(canary).items():
        for dialect, model in asked_of_all:
            for stream in (False, True):
                upstream.script(*[answer] * 2)
                if model == MODELS[dialect]:
                    case = cases.conversation(dialect, "", stream, model=model)
                else:
                    case = cases.translation(dialect, model, "", stream)
                calls.note(case, await send(door, Case(name=name, sent=case.sent)))
                upstream._scripts.clear()
    assert len(upstream.requests) >= calls.outcomes.total()
    own = sum(answer.status == 500 for answer in answers(canary).values())
    assert calls.outcomes["500"] == own * 2 * len(asked_of_all)  # and none of ours
    assert b"sk-of-the-operator" not in b"".join(calls.heads)
    told_on = Search(canary)
    for received in upstream.requests:
        told_on.data("fields that went to a provider", repr(received.headers).encode())
    assert told_on.clean, told(told_on.hits)  # the caller's odd fields are not the provider's business
    heads = b"\n".join(calls.heads)
    search = await search_all(installation, canary, tmp_path, heads)
    assert search.clean, told(search.hits)
    records = await installation.records(calls.outcomes.total())
    assert len(records) == calls.outcomes.total()


async def test_no_line_of_the_gateway_lets_an_exceptions_text_out(tmp_path: Path) -> None:
    """In a process of its own: what is raised where nobody would may leave sockets open."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.campaigns.fault_sweep", "--folder", str(tmp_path), "--step", "60",
        cwd=TOP, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    report = json.loads(printed.splitlines()[-1])
    assert process.returncode == 0, printed[-3000:]
    assert report["raised"] >= 200
    assert report["hits"] == []
    assert report["broken"] == []


ADDRESS = "203.0.113.77"


async def test_a_callers_address_is_nowhere_whole(tmp_path: Path) -> None:
    async with Proof(tmp_path) as proof:
        config = proof.work / "gateway.toml"
        config.write_text(config.read_text().replace("[server]", '[server]\ntrusted_proxies = ["127.0.0.1"]'))
        await proof.stop()
        await proof.start()
        bad = [("x-forwarded-for", ADDRESS), ("forwarded", f"for={ADDRESS}"), ("x-real-ip", ADDRESS)]
        for body in (b'{"model":"echo-1","messages":[{"role":"user","content":"Hello"}]}', b"{"):
            case = Case(name="address", sent=proof.cases.post("/v1/chat/completions", body, bad))
            assert (await send(proof.door, case))[9:12] in (b"200", b"400")
        await proof.settle()
        pages = b"".join([await proof.admin(page) for page in PAGES])
        written = [path for path in files_below(tmp_path) if path.is_file()]
        for data in (pages, await proof.command("export"), *(path.read_bytes() for path in written)):
            assert ADDRESS.encode() not in data
            assert b"\xcb\x00\x71\x4d" not in data  # as four bytes
        assert b" 203.0.113.0 chat 200" in (proof.work / "gateway-data/access.log").read_bytes()


def remembered() -> list[object]:
    """What of calls is still in this process's memory."""
    gc.collect()
    return [
        one
        for one in gc.get_objects()
        if isinstance(one, Exchange | Document) or (isinstance(one, Content) and one.size > 64)
    ]


async def test_a_call_that_is_over_is_no_longer_in_memory(start: Any, tmp_path: Path) -> None:
    installation = await start({})
    canary, calls = Canary(), Calls()
    cases = Cases(canary, f"127.0.0.1:{installation.port}", installation.key)
    before = set(map(id, remembered()))  # of other tests
    await calls.run(Door("127.0.0.1", installation.port), cases.conversations(("", "status=500", "cut=2")))
    await calls.run(Door("127.0.0.1", installation.port), cases.departures())
    for _ in range(100):  # clients that left are noticed a moment later
        left = len([one for one in remembered() if id(one) not in before])  # a number: it holds nothing
        if not left:
            break
        await asyncio.sleep(0.03)
    assert left == 0


WRONG = (
    '[providers.x]\nuse = "openai"\napi_key = ["{}"]',
    '[providers.x]\nuse = "openai"\nbase_url = "https://user:{}@a.test/{}"',
    '[models.x]\nprovider = "{}"',
    '[server]\nlisten = "{}"',
    '[upstream]\nattempts = "{}"',
    '[limits]\nx = """{}',
    '[admin]\ntoken = {{ file = "{}", env = "{}" }}',
)


def test_a_configuration_with_a_mistake_is_refused_without_quoting_values(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = Canary()
    file = tmp_path / "gateway.toml"
    file.write_text(f'[providers.openai]\napi_key = "{canary.mark("literal key")}"\n')
    assert cli.main(["check", "--config", str(file)]) == 0
    assert cli.main(["check", "--json", "--config", str(file)]) == 0
    for wrong in WRONG:
        file.write_text(wrong.format(*[canary.mark(wrong)] * 2) + "\n")
        assert cli.main(["check", "--config", str(file)]) == 2, wrong
    search = Search(canary)
    search.data("check", "".join(capfd.readouterr()).encode())
    assert search.clean, told(search.hits)


async def test_marks_in_an_answer_do_reach_the_client(tmp_path: Path) -> None:
    """Else all of the above would prove nothing."""
    async with Proof(tmp_path) as proof:
        for dialect in DIALECTS:
            for stream in (False, True):
                answer = await send(proof.door, proof.cases.conversation(dialect, "chunk=20", stream))
                search = Search(proof.canary)
                search.data("answer", answer)
                assert search.hits, dialect


@pytest.mark.skipif(strace_canary.strace() is None, reason="strace is not installed, or may not trace here")
async def test_content_is_handed_to_the_kernel_for_sockets_only(tmp_path: Path) -> None:
    report = await strace_canary.prove(tmp_path, cases=80)
    assert report["wrong"] == []
    assert report["hits"] == []
    assert report["content"]["TCP"] > 20  # answers, seen on their way to clients
