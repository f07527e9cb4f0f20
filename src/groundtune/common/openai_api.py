"""Where the OpenAI API is, and where its key is looked for."""

OPENAI_HOST = "api.openai.com"
OPENAI_URL = f"https://{OPENAI_HOST}/v1"
OPENAI_KEY_ENV = "OPENAI_API_KEY"
"""Environment variable that holds the key."""
