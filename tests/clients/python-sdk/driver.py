"""The official Python SDK's client and OAuth provider.

Usage: driver.py URL TOOL ARGUMENTS. Connects, lists the tools, calls one, prints a line of JSON; calls
again for every line on the standard input.
"""

import asyncio
import json
import sys
import webbrowser
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata


class Memory:
    """Token storage for one run."""

    def __init__(self) -> None:
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens) -> None:
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info) -> None:
        self.client = client_info


class Callback:
    """Listens for the redirect that ends the sign-in."""

    async def listen(self) -> str:
        self.query = asyncio.get_running_loop().create_future()
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/callback"

    async def answer(self, reader, writer) -> None:
        target = (await reader.readline()).split(b" ")[1].decode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nDone")
        await writer.drain()
        writer.close()
        if urlsplit(target).path == "/callback" and not self.query.done():
            self.query.set_result(parse_qs(urlsplit(target).query))

    async def result(self) -> AuthorizationCodeResult:
        query = await self.query
        if "error" in query:
            raise SystemExit(f"sign-in failed: {query['error'][0]}")
        first = lambda name: query.get(name, [None])[0]
        return AuthorizationCodeResult(code=first("code"), state=first("state"), iss=first("iss"))


async def open_browser(url: str) -> None:
    webbrowser.open(url)


async def main(url: str, tool: str, arguments: dict) -> None:
    callback = Callback()
    metadata = OAuthClientMetadata(
        client_name="Python SDK driver",
        redirect_uris=[await callback.listen()],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    oauth = OAuthClientProvider(url, metadata, Memory(), open_browser, callback.result)
    async with httpx2.AsyncClient(auth=oauth, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            tools = [each.name for each in (await client.list_tools()).tools]
            while True:
                result = await client.call_tool(tool, arguments)
                text = "".join(part.text for part in result.content if part.type == "text")
                print(json.dumps({"protocol": client.protocol_version, "tools": tools, "text": text}), flush=True)
                if not await asyncio.to_thread(sys.stdin.readline):
                    return


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
