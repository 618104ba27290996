"""A stored key that cannot be opened is tried once for a call, and the next key or target follows."""

from pathlib import Path

from gateway.content import Secret
from gateway.errors import GatewayError, OurError
from tests.fakes.flow import stand, whole


def locked() -> Secret:
    raise OurError("no_credential", about="one")


async def test_the_next_key_is_used(tmp_path: Path) -> None:
    made = stand(tmp_path, (200, [whole()]), keys=2)
    loaded = made.flow.pool.get("one")
    assert loaded is not None
    loaded.credentials[0].reveal = locked
    exchange, sink = await made.call()
    assert sink.status == 200
    assert [attempt.credential for attempt in exchange.attempts] == ["one/2"]
    assert made.ledger.open_holds == 0


async def test_a_call_ends_when_no_key_opens(tmp_path: Path) -> None:
    made = stand(tmp_path, keys=2)
    loaded = made.flow.pool.get("one")
    assert loaded is not None
    for credential in loaded.credentials:
        credential.reveal = locked
    exchange, _ = await made.call()
    assert isinstance(exchange.error, GatewayError)
    assert exchange.error.code == "no_credential"
    assert (exchange.attempts, made.ledger.open_holds, len(made.records)) == ([], 0, 1)
