"""Serve the approaches of a project over HTTP, in OpenAI's protocol and one of its own. Decides no answer itself.

`app.py` puts the parts together, `running.py` runs them. Each endpoint is a module: `models`, `chat_completions`,
`responses`, `asking` (`/api/ask`, `/api/search`), `passages`, `health`.
"""
