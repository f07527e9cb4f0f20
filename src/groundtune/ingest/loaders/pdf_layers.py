"""Find the text of layers that are switched off in a PDF. Never reads text.

PDFium obeys layers (optional content) where it draws, but has no function that tells them. So what may belong to one is
drawn alone, in low resolution: what leaves no trace is not seen.
"""

import ctypes
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pypdfium2.raw as pdfium

_LAYERS = b"/OCProperties"
_PACKED = re.compile(rb"/ObjStm\b.{0,1000}?stream\r?\n", re.DOTALL)
_END = b"endstream"
_LONGEST_SIDE = 1_000
"""Pixels of the longer side of a drawing, at most."""
_GROUND = (122, 123, 124, 255)
"""A colour in which text is hardly ever set."""
_MOST_PARTS = 200
"""Parts of a page that are drawn; more are taken as shown."""
_DEEPEST = 12
"""Nesting of forms that is followed."""
_NAME_LENGTH = 256


def has_layers(data: bytes) -> bool:
    """Whether a file may have layers: its catalog says so, in plain bytes or in a packed object."""
    if _LAYERS in data:
        return True
    for found in _PACKED.finditer(data):
        try:
            if _LAYERS in zlib.decompressobj().decompress(data[found.end() : data.find(_END, found.end())]):
                return True
        except zlib.error:  # encrypted, or packed in another way
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Object:
    """Something on a page."""

    handle: Any
    forms: tuple[Any, ...]
    """The forms in which it stands, from the outermost."""
    layers: tuple[str, ...]
    """Names of the layers for which it is marked; an empty one where it depends on several."""
    is_text: bool
    """Whether it is text that leaves a trace."""


def texts_switched_off(page: Any) -> frozenset[int]:
    """Return the addresses of the text objects that no layer shows. page: of pypdfium2."""
    objects = [*_objects(page)]
    parts = [*islice(_parts(objects), _MOST_PARTS)]
    if not parts:
        return frozenset()
    unseen: set[int] = set()
    _activate((one.handle for one in objects), False)
    try:
        for texts in parts:
            drawn = [handle for one in texts for handle in (one.handle, *one.forms)]
            _activate(drawn, True)
            if _is_blank(page):
                unseen.update(ctypes.addressof(one.handle.contents) for one in texts)
            _activate(drawn, False)
    finally:
        _activate((one.handle for one in objects), True)
    return frozenset(unseen)


def _objects(page: Any) -> Iterator[_Object]:
    count = pdfium.FPDFPage_CountObjects(page.raw)
    stack: list[tuple[Any, tuple[Any, ...]]] = [(pdfium.FPDFPage_GetObject(page.raw, at), ()) for at in range(count)]
    stack.reverse()
    while stack:
        handle, forms = stack.pop()
        kind = pdfium.FPDFPageObj_GetType(handle)
        is_text = kind == pdfium.FPDF_PAGEOBJ_TEXT
        if is_text and pdfium.FPDFTextObj_GetTextRenderMode(handle) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE:
            is_text = False
        yield _Object(handle, forms, _layers(handle), is_text)
        if kind == pdfium.FPDF_PAGEOBJ_FORM and len(forms) < _DEEPEST:
            count = pdfium.FPDFFormObj_CountObjects(handle)
            stack += [(pdfium.FPDFFormObj_GetObject(handle, at), (*forms, handle)) for at in reversed(range(count))]


def _parts(objects: Iterable[_Object]) -> Iterator[list[_Object]]:
    """Yield the texts that are shown or not shown together, for all that may depend on a layer.

    These are the texts of a form, and those marked for the same layers; without names of layers, what stands together.
    """
    parts: dict[Any, list[_Object]] = defaultdict(list)
    nameless = 0
    for one in objects:
        nameless += "" not in one.layers
        if one.is_text and (one.layers or one.forms):
            form = ctypes.addressof(one.forms[-1].contents) if one.forms else 0
            parts[form, one.layers, nameless if "" in one.layers else 0].append(one)
    yield from parts.values()


def _layers(handle: Any) -> tuple[str, ...]:
    marks = [pdfium.FPDFPageObj_GetMark(handle, at) for at in range(max(0, pdfium.FPDFPageObj_CountMarks(handle)))]
    return tuple(
        _text(pdfium.FPDFPageObjMark_GetParamStringValue, mark, b"Name")
        for mark in marks
        if _text(pdfium.FPDFPageObjMark_GetName, mark) == "OC"
    )


def _text(read: Any, mark: Any, *key: bytes) -> str:
    """Return what a function of PDFium says of a mark; empty if it says nothing."""
    buffer, length = (ctypes.c_ushort * _NAME_LENGTH)(), ctypes.c_ulong()
    read(mark, *key, buffer, ctypes.sizeof(buffer), length)
    return bytes(buffer)[: length.value].decode("utf-16-le", "replace").rstrip("\0")


def _activate(handles: Iterable[Any], active: bool) -> None:
    for handle in handles:
        pdfium.FPDFPageObj_SetIsActive(handle, active)


def _is_blank(page: Any) -> bool:
    scale = min(1.0, _LONGEST_SIDE / max(page.get_size()))
    bitmap = page.render(scale=scale, fill_color=_GROUND, draw_annots=False, may_draw_forms=False, prefer_bgrx=True)
    drawn = bytes(bitmap.buffer)
    bitmap.close()
    return drawn == drawn[:4] * (len(drawn) // 4)
