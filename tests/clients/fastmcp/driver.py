"""FastMCP's client, with the sign-in it has built in.

Usage: driver.py URL TOOL ARGUMENTS. Connects, lists the tools, calls one, prints a line of JSON; calls
again for every line on the standard input.
"""

import asyncio
import json
import sys

from fastmcp import Client


async def main(url: str, tool: str, arguments: dict) -> None:
    async with Client(url, auth="oauth") as client:
        tools = [each.name for each in await client.list_tools()]
        while True:
            result = await client.call_tool(tool, arguments)
            text = "".join(part.text for part in result.content if part.type == "text")
            protocol = client.session.protocol_version
            print(json.dumps({"protocol": protocol, "tools": tools, "text": text}), flush=True)
            if not await asyncio.to_thread(sys.stdin.readline):
                return


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
