"""`POST /session`: let a browser in with an API key, which it then sends as a cookie that no script can read."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from groundtune.serve.doors.callers import COOKIE, Doors
from groundtune.serve.errors import RequestRefusedError, refused
from groundtune.serve.pages.frame import sign_in_page

SESSION_SECONDS = 12 * 3600
MOST_FIELDS = 10
"""Fields of the form: whoever sends it has proved nothing yet, and must not keep the server busy."""

router = APIRouter(include_in_schema=False)


@router.post("/session", response_model=None)
async def sign_in(request: Request) -> Response:
    """Check the key of the form, keep it as a cookie, and go on to the page that was asked for."""
    try:
        form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise refused("the form has too many fields") from None
    key, next_ = form.get("key", [""])[0].strip(), local_path(form.get("next", ["/"])[0])
    doors: Doors = request.app.state.doors
    try:
        doors.admit_key(request, key)
    except RequestRefusedError as error:
        return sign_in_page(next_=next_, problem=error.reply.message, status=error.reply.status)
    response = RedirectResponse(next_, status_code=303)
    secure = doors.behind_https
    response.set_cookie(COOKIE, key, max_age=SESSION_SECONDS, httponly=True, secure=secure, samesite="lax")
    return response


@router.post("/session/end", response_model=None)
async def sign_out(request: Request) -> Response:
    """Forget the key of the browser."""
    doors: Doors = request.app.state.doors
    doors.check_origin(request)
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(COOKIE)
    return response


def local_path(path: str) -> str:
    """Return a path on this server; the start page instead of an address elsewhere."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else "/"
