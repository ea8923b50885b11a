"""A FastMCP server without authentication, as people have them.

Usage: server.py PORT
"""

import sys

from fastmcp import FastMCP

mcp = FastMCP("Notes")


@mcp.tool(annotations={"readOnlyHint": True})
def echo(text: str) -> str:
    """Say it again."""
    return text


@mcp.tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@mcp.resource("notes://first")
def first() -> str:
    """The first note."""
    return "remember the milk"


@mcp.prompt
def summarise(topic: str) -> str:
    """Ask for a summary."""
    return f"Please summarise {topic}."


if __name__ == "__main__":
    mcp.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
