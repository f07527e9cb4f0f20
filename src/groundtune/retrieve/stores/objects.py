"""Read and write objects below a URI such as `s3://bucket/folder`. Every object is written as a whole or not at all.

The addresses and keys come from the usual environment variables: AWS_ENDPOINT_URL (for servers other than Amazon's),
AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or from whatever else the machine offers.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.fs as arrow

from groundtune.errors import MissingError, UsageError

T = TypeVar("T")
ENDPOINT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
JSON_BYTES = 1024
"""Sizes of JSON objects are multiples of this."""
HINT = "check the bucket, and AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class Objects:
    """The objects below one URI; names are relative to it. All methods raise MissingError if it cannot be reached."""

    def __init__(self, uri: str) -> None:
        scheme, _, path = uri.partition("://")
        if scheme not in ("s3", "gs"):
            raise UsageError(f"an index cannot be kept in {uri}", hint='use a URI like "s3://bucket/folder"')
        self.uri = uri.rstrip("/")
        self._path = path.rstrip("/")
        self._scheme = scheme
        self._opened: Any = None

    @property
    def storage_options(self) -> dict[str, str]:
        """Options for LanceDB that say the same as the environment says to pyarrow."""
        options = {"region": _first(REGION), "endpoint": _first(ENDPOINT)} if self._scheme == "s3" else {}
        chosen = {key: value for key, value in options.items() if value}
        if chosen.get("endpoint", "").startswith("http://"):
            chosen["allow_http"] = "true"
        return chosen

    async def read(self, name: str) -> bytes | None:
        """Return the content, or None if there is no such object."""

        def read(system: Any) -> bytes | None:
            try:
                with system.open_input_stream(self._at(name)) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

        return await self._run(read)

    async def write(self, name: str, data: bytes) -> None:
        def write(system: Any) -> None:
            with system.open_output_stream(self._at(name)) as stream:
                stream.write(data)

        await self._run(write)

    async def write_json(self, name: str, values: object) -> None:
        """Write JSON that readers may read while it is replaced.

        A read asks for the size first, then for as many bytes, so an object that has grown in between would be cut.
        Spaces fill it up to a size that stays the same.
        """
        data = json.dumps(values).encode()
        await self.write(name, data.ljust(-(-len(data) // JSON_BYTES) * JSON_BYTES))

    async def download(self, name: str, path: Path) -> bool:
        """Copy an object into a file; False if there is no such object."""

        def download(system: Any) -> bool:
            try:
                with system.open_input_stream(self._at(name)) as stream, path.open("wb") as file:
                    shutil.copyfileobj(stream, file, 1 << 20)
            except FileNotFoundError:
                return False
            return True

        return await self._run(download)

    async def upload(self, path: Path, name: str) -> None:
        def upload(system: Any) -> None:
            with path.open("rb") as file, system.open_output_stream(self._at(name)) as stream:
                shutil.copyfileobj(file, stream, 1 << 20)

        await self._run(upload)

    async def listing(self, folder: str) -> dict[str, datetime | None]:
        """Return the objects and folders directly in a folder, with the time of the last write; None for folders."""

        def listing(system: Any) -> dict[str, datetime | None]:
            found = system.get_file_info(arrow.FileSelector(self._at(folder), allow_not_found=True))
            return {info.base_name: info.mtime if info.is_file else None for info in found}

        return await self._run(listing)

    async def delete(self, name: str) -> None:
        def delete(system: Any) -> None:
            try:
                system.delete_file(self._at(name))
            except FileNotFoundError:
                return

        await self._run(delete)

    async def delete_folder(self, folder: str) -> None:
        await self._run(lambda system: system.delete_dir_contents(self._at(folder), missing_dir_ok=True))

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}".rstrip("/")

    async def _run(self, work: Callable[[Any], T]) -> T:
        def reach() -> T:
            if self._opened is None:
                self._opened = self._open()
            return work(self._opened)

        try:
            return await asyncio.to_thread(reach)
        except OSError as error:
            reason = str(error).splitlines()[0]
            raise MissingError(f"cannot reach {self.uri}: {reason}", hint=HINT) from error

    def _open(self) -> Any:
        if self._scheme == "gs":
            return arrow.GcsFileSystem()
        endpoint = _first(ENDPOINT)
        scheme, _, address = endpoint.rpartition("://") if endpoint else ("", "", "")
        return arrow.S3FileSystem(
            endpoint_override=address.rstrip("/") or None, scheme=scheme or "https", region=_first(REGION)
        )


def _first(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
