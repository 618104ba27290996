"""What only the memory store does."""

from gateway.contracts import Span
from gateway.names import Slug
from gateway.store.memory import MemoryStore
from tests.sample_records import a_record


async def test_the_oldest_records_make_room_and_what_was_spent_stays() -> None:
    store = MemoryStore(MemoryStore.Config(records_limit=3))
    await store.records.add([a_record(number) for number in range(5)])
    found = [one.at async for one in store.records.export(Span(since_us=0, until_us=1 << 62))]
    assert found == [2000, 3000, 4000]
    assert await store.records.spent() == {Slug("key-1"): 5010}
