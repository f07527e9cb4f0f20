"""What programs call: the protocols of OpenAI, groundtune's own, and MCP. An endpoint is a module with a router."""
