"""Serve the approaches of a project over HTTP, in OpenAI's protocol and one of its own. Decides no answer itself.

`app.py` puts the parts together, `running.py` runs them. `api/` is for programs, `pages/` for people, `doors/` decides
who is let in, `watching/` shows operators what goes on; the modules beside them are the way of a request.
"""
