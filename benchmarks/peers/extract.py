"""Extract the text of files with a peer, in its own environment: `python extract.py PEER FILES.json TEXTS.json`."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def markitdown() -> Callable[[str], str]:
    from markitdown import MarkItDown

    converter = MarkItDown()
    return lambda path: str(converter.convert(path).text_content)


def kreuzberg() -> Callable[[str], str]:
    from kreuzberg import extract_file_sync

    return lambda path: str(extract_file_sync(path).content)


def main() -> None:
    peer, files, target = sys.argv[1:]
    extract = {"markitdown": markitdown, "kreuzberg": kreuzberg}[peer]()
    texts: dict[str, str | None] = {}
    started = time.perf_counter()
    for path in json.loads(Path(files).read_text("utf-8")):
        try:
            texts[path] = extract(path)
        except Exception as error:  # noqa: BLE001 (what a peer cannot read is a result)
            sys.stderr.write(f"{path}: {type(error).__name__}: {str(error)[:200]}\n")
            texts[path] = None
    seconds = time.perf_counter() - started
    Path(target).write_text(json.dumps({"texts": texts, "seconds": seconds}), encoding="utf-8")


if __name__ == "__main__":
    main()
