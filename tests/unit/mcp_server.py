"""A small MCP server on stdin and stdout, for tests."""

from mcp.server.fastmcp import FastMCP

server = FastMCP("weather")


@server.tool()
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"22 degrees in {city}"


if __name__ == "__main__":
    server.run()
