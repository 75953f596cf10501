"""The page: three files, served from memory, and what they need to know of this keeper.

Nothing in them comes from anywhere else, and the policy sent with them lets nothing else be loaded or run. What models
are called reaches the page as JSON only, and is shown as text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ollama_keeper import __version__
from ollama_keeper.report.phrases import REASONS
from ollama_keeper.web.answers import Json

FOLDER = Path(__file__).with_name("static")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}


@dataclass(frozen=True, slots=True)
class File:
    """One file of the page, with the headers that it is sent with."""

    content: bytes
    headers: Mapping[str, str]

    @classmethod
    def read(cls, name: str, kind: str) -> "File":
        """Reads a file of ours; it stays as it is until the next start."""
        content = (FOLDER / name).read_bytes()
        tag = f'"{sha256(content).hexdigest()[:16]}"'
        headers = {
            "content-type": f"{kind}; charset=utf-8",
            "etag": tag,
            "cache-control": "no-cache",
            "content-security-policy": POLICY,
        }
        return cls(content, headers)

    async def __call__(self, request: Request) -> Response:
        """The file, or the word that it has not changed."""
        if request.headers.get("if-none-match") == self.headers["etag"]:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def page_routes(*, control: bool) -> list[Route]:
    """The page and its parts.

    Args:
        control: whether commands are taken, so that it offers them.
    """
    about = Json({"version": __version__, "control": control, "words": dict(REASONS)})

    async def told(_: Request) -> Response:
        """What does not change while the keeper runs: its version, and what its reasons are called."""
        return about

    files = [Route(path, File.read(name, kind).__call__) for path, (name, kind) in FILES.items()]
    return [*files, Route("/about", told)]
