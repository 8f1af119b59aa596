"""The official MCP client for Python against Owl's tools. See `tool_doors.py` beside this file for the variables."""

import asyncio
import json
import os
import sys
import traceback
import urllib.request
import uuid

import httpx2
from mcp import MCPError, StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

WEB = os.environ["OWL_TEST_WEB"]
IS_OPEN = os.environ.get("OWL_TEST_OPEN") == "1"
SECONDS = 20
CHECKS = []


def check(function):
    """Makes a function one of the checks, under its own name."""
    CHECKS.append(function)
    return function


def transport():
    if command := os.environ.get("OWL_TEST_MCP_COMMAND"):
        program, *arguments = json.loads(command)
        return stdio_client(StdioServerParameters(command=program, args=arguments))
    headers = {"Authorization": f"Bearer {os.environ['OWL_TEST_KEY']}"}
    return streamable_http_client(os.environ["OWL_TEST_MCP_URL"], http_client=httpx2.AsyncClient(headers=headers, timeout=SECONDS))


async def seen(what, mark):
    def ask():
        with urllib.request.urlopen(f"{WEB}/{what}?{mark}", timeout=2 * SECONDS) as answer:
            return answer.read()

    assert await asyncio.to_thread(ask) == b"yes", what


def text(result):
    return "\n".join(piece.text for piece in result.content if piece.type == "text")


def assert_refused(result, code):
    assert result.is_error, result
    assert result.meta["owl/error"]["code"] == code, result


@check
async def tools_are_listed(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert sorted(tools) == ["image", "web_fetch", "web_search"], tools
    for tool in tools.values():
        assert tool.title and tool.description and tool.output_schema
        assert tool.annotations.read_only_hint and tool.annotations.open_world_hint


@check
async def a_page_is_read(client):
    result = await client.call_tool("web_fetch", {"url": f"{WEB}/page"})
    if not IS_OPEN:
        return assert_refused(result, "url_refused")
    assert not result.is_error, result
    assert "hunt at night" in text(result)
    assert result.structured_content["status"] == 200


@check
async def a_picture_is_seen(client):
    result = await client.call_tool("image_tool", {"prompt": "What is this?", "image": f"{WEB}/picture.png"})
    if not IS_OPEN:
        return assert_refused(result, "url_refused")
    assert [piece.mime_type for piece in result.content if piece.type == "image"] == ["image/png"], result


@check
async def the_web_is_searched(client):
    result = await client.call_tool("web_search", {"query": "owls"})
    assert result.structured_content["results"][0]["url"] == "https://owls.example/", result


@check
async def an_unknown_tool_is_an_error_of_the_protocol(client):
    try:
        await client.call_tool("bash", {})
    except MCPError as error:
        assert error.code == -32602, error
        return
    raise AssertionError("nothing was raised")


@check
async def progress_is_told(client):
    if not IS_OPEN:
        return
    mark, steps = uuid.uuid4(), []

    async def told(progress, _total, message):
        steps.append((progress, message))
        if len(steps) == 1:
            await seen("told", mark)

    result = await client.call_tool("web_fetch", {"url": f"{WEB}/patient?{mark}"}, progress_callback=told)
    assert "Whoever waits" in text(result), result
    assert [progress for progress, _ in steps] == list(range(1, len(steps) + 1)) and steps, steps


@check
async def a_cancelled_call_leaves_the_server(client):
    if not IS_OPEN:
        return
    mark = uuid.uuid4()
    called = asyncio.create_task(client.call_tool("web_fetch", {"url": f"{WEB}/slow?{mark}"}))
    await seen("arrived", mark)
    called.cancel()
    await asyncio.gather(called, return_exceptions=True)
    await seen("left", mark)


async def run(mode, failed):
    async with Client(transport(), mode=mode) as client:
        for function in CHECKS:
            try:
                await asyncio.wait_for(function(client), 2 * SECONDS)
                print(f"ok   {function.__name__} ({mode})", flush=True)
            except Exception:
                failed.append(function.__name__)
                print(f"FAIL {function.__name__} ({mode})\n{traceback.format_exc()}", flush=True)


async def main():
    failed = []
    # With the handshake of the versions up to 2025-11-25, and without it, as 2026-07-28 is.
    for mode in ["legacy", "2026-07-28"]:
        await run(mode, failed)
    sys.exit(len(failed) > 0)


asyncio.run(main())
