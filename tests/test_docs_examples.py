"""The examples of the documents work: the adapter, nginx's configuration, the backup, the lists of names."""

import asyncio
import re
import shutil
import sqlite3
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import adapter_kit, config
from gateway.adapter_scripts import generic_scripts
from gateway.app import App
from gateway.names import Slug
from gateway.watch.metrics import HELP
from tests.installation import Installation
from tests.process import free_ports

DOCS = Path(__file__).parent.parent / "docs"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def blocks(document: str, language: str) -> list[str]:
    """The fenced examples in a language."""
    text = (DOCS / document).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_adapter_in_the_guide_passes_the_kit() -> None:
    space: dict[str, Any] = {"__name__": "guide"}
    exec(blocks("providers.md", "python")[0], space)
    acme = space["Acme"]
    given = acme.Config(base_url="https://api.acme.example/v1")
    assert adapter_kit.check(acme, given, generic_scripts(Slug("openai_chat"))) == []


def test_all_examples_in_python_can_be_read() -> None:
    for block in blocks("providers.md", "python"):
        compile(block, "guide", "exec")


@pytest.mark.parametrize("document", ["providers.md", "operations.md"])
def test_all_examples_in_toml_are_configurations(document: str) -> None:
    for block in blocks(document, "toml"):
        config.parse(tomllib.loads(block), "guide", {})


def test_the_unit_closes_what_could_leak() -> None:
    [text] = [block for block in blocks("operations.md", "ini") if "[Service]" in block]
    unit = ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    wanted = {"LimitCORE": "0", "MemorySwapMax": "0", "PrivateTmp": "yes", "NoNewPrivileges": "yes"}
    assert wanted.items() <= dict(unit["Service"]).items()
    assert unit["Service"]["ProtectSystem"] == "strict"


async def test_every_metric_is_listed_with_its_meaning(gateway: Installation) -> None:
    text = (DOCS / "operations.md").read_text("utf-8")
    app: App = gateway.app
    for name in (*HELP, *app._metrics.gauges):
        assert f"`{name}`" in text, name


async def test_the_backup_is_whole_while_the_gateway_runs(gateway: Installation) -> None:
    [line] = [block for block in blocks("operations.md", "sh") if "vacuum into" in block]
    statement = re.search(r"python3 -c '(.*)'", line)
    assert statement is not None
    words = statement[1].replace("gateway-data/gateway.db", str(gateway.folder / "data" / "gateway.db"))
    exec(words.replace("backup.db", str(gateway.folder / "backup.db")))
    copy = sqlite3.connect(gateway.folder / "backup.db")
    assert copy.execute("pragma integrity_check").fetchall() == [("ok",)]
    copy.close()
    tree = {
        "store": {"path": str(gateway.folder / "backup.db")},
        "secrets": {"master_key": {"file": str(gateway.folder / "data" / "master.key")}},
    }
    restored = Installation(gateway.folder / "restored", tree)
    await restored.start()
    assert await _status(restored.port, gateway.key) == 200
    await restored.stop()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
async def test_calls_pass_through_nginx_as_configured_in_the_guide(
    gateway: Installation, tmp_path: Path
) -> None:
    [block] = blocks("operations.md", "nginx")
    [port] = free_ports(1)
    block = block.replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}")
    block = block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    block = re.sub(r"^\s+ssl_certificate.*\n", "", block, flags=re.MULTILINE)
    temporary = "".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log emerg;\n"
        f"events {{}} http {{ {temporary}\n{block}\n}}"
    )
    assert NGINX is not None
    program = await asyncio.create_subprocess_exec(NGINX, "-p", str(tmp_path), "-c", str(file))
    try:
        for _ in range(200):
            try:
                status = await _status(port, gateway.key)
                break
            except OSError:
                await asyncio.sleep(0.01)
        assert status == 200
        [record] = await gateway.records()
        assert record.stream
    finally:
        program.terminate()
        await program.wait()


async def _status(port: int, key: str) -> int:
    body = {"model": "echo-1", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session,
        session.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as answer,
    ):
        assert (await answer.read()).endswith(b"[DONE]\n\n")
        return answer.status
