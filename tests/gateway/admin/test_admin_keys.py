"""/admin/keys: every key by what may be shown of it, and nothing else."""

import aiohttp

from gateway.accounts.facts import Facts
from tests.installation import Installation


async def listed(gateway: Installation) -> tuple[list[dict[str, object]], str]:
    headers = {"authorization": f"Bearer {gateway.admin_token}"}
    url = gateway.admin_url + "/admin/keys"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        assert answer.status == 200
        return (await answer.json())["keys"], await answer.text()


async def test_keys_are_listed_as_the_command_lists_them(gateway: Installation) -> None:
    texts = [await gateway.make_key(f"key-{number}", rate="5", models="echo-1") for number in range(120)]
    keys, page = await listed(gateway)
    accounts = await gateway.store.accounts.load()
    assert keys == list(Facts(accounts, 0).keys())
    assert len(keys) == 121
    assert next(one for one in keys if one["name"] == "key-7")["scopes"] == {
        "models": ["echo-1"],
        "rate": ["5"],
    }
    assert not any(text[7:-4] in page for text in (gateway.key, *texts))
    assert not any(row.digest in page for row in accounts.keys)
