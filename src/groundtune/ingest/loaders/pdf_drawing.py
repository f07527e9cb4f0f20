"""Find out from what is drawn on a PDF page which of its text cannot be seen, what is struck through, and its pictures.

Never renders a page.
"""

import ctypes
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium

from groundtune.ingest.loaders.pdf_types import Box, View, contains

Colour = tuple[int, int, int]
Matrix = tuple[float, float, float, float, float, float]

_THIN = 2.5
"""Height, in points, up to which something drawn may be a line through text."""
_SAME = 10
"""Difference of two colours, of 255, up to which nobody sees it."""
_RECTANGLE = 6
"""Segments that a rectangle has at most."""
_WHITE: Colour = (255, 255, 255)
_BAND = 20.0
"""Points of height in which what covers text is looked for together."""
_DEEPEST = 12
"""Nesting of forms that is followed."""


@dataclass(slots=True)
class Picture:
    box: Box
    """On the displayed page."""
    photo: bool
    """Whether it is stored the way photographs are."""


@dataclass(slots=True)
class Drawing:
    """What is drawn on a page."""

    hidden: frozenset[int]
    """Addresses of the text objects that nobody can see."""
    covered: dict[int, list[Box]]
    """Address of a text object -> the places on the displayed page at which something is painted over it."""
    strokes: list[Box]
    """Thin lines and bars; on the displayed page."""
    frames: list[Box]
    """Rectangles of which the outline is drawn; on the displayed page."""
    pictures: list[Picture]
    shapes: int
    """Filled shapes; letters that were turned into shapes are among them."""
    layered: bool
    """Whether a picture has its text below it, as the scan of a program that read it has."""


@dataclass(slots=True)
class _Text:
    order: int
    handle: Any
    matrix: Matrix | None
    colour: Colour | None
    invisible: bool


@dataclass(slots=True)
class _Scene:
    """The objects of a page in the order in which they are painted."""

    texts: list[_Text] = field(default_factory=list)
    fills: list[tuple[int, Box, Colour | None]] = field(default_factory=list)
    """Filled rectangles, and pictures as rectangles of unknown colour."""
    covers: list[tuple[int, Box]] = field(default_factory=list)
    """Filled rectangles through which nothing can be seen."""
    pictures: list[tuple[Box, bool]] = field(default_factory=list)
    strokes: list[Box] = field(default_factory=list)
    frames: list[Box] = field(default_factory=list)
    shapes: int = 0
    layered: bool = False
    order: int = 0


def read_drawing(page: Any, view: View) -> Drawing:
    """Return what is drawn on the page. page: the handle of PDFium."""
    scene = _Scene()
    for index in range(pdfium.FPDFPage_CountObjects(page)):
        _look_at(scene, pdfium.FPDFPage_GetObject(page, index), None, 0)
    hidden = frozenset(ctypes.addressof(text.handle.contents) for text in _hidden_texts(scene))
    boxes = view.shown(box for box, _ in scene.pictures)
    pictures = [Picture(box, photo) for box, (_, photo) in zip(boxes, scene.pictures, strict=True)]
    covered = {ctypes.addressof(text.handle.contents): view.shown(boxes) for text, boxes in _covered_texts(scene)}
    strokes, frames = view.shown(scene.strokes), view.shown(scene.frames)
    return Drawing(hidden, covered, strokes, frames, pictures, scene.shapes, scene.layered)


def _look_at(scene: _Scene, handle: Any, matrix: Matrix | None, depth: int) -> None:
    kind = pdfium.FPDFPageObj_GetType(handle)
    scene.order += 1
    if kind == pdfium.FPDF_PAGEOBJ_TEXT:
        invisible = pdfium.FPDFTextObj_GetTextRenderMode(handle) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
        scene.texts.append(_Text(scene.order, handle, matrix, _fill(handle), invisible))
    elif kind == pdfium.FPDF_PAGEOBJ_PATH:
        _look_at_path(scene, handle, matrix)
        if depth == 0 and scene.fills and scene.fills[-1][0] == scene.order and scene.fills[-1][2] is not None:
            _add_cover(scene, handle)
    elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
        box = _box(handle, matrix)
        scene.fills.append((scene.order, box, None))
        scene.pictures.append((box, _is_photo(handle)))
    elif kind == pdfium.FPDF_PAGEOBJ_SHADING:
        scene.fills.append((scene.order, _box(handle, matrix), None))
    elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _DEEPEST:
        own = pdfium.FS_MATRIX()
        pdfium.FPDFPageObj_GetMatrix(handle, own)
        inner = _product((own.a, own.b, own.c, own.d, own.e, own.f), matrix)
        for index in range(pdfium.FPDFFormObj_CountObjects(handle)):
            _look_at(scene, pdfium.FPDFFormObj_GetObject(handle, index), inner, depth + 1)


def _look_at_path(scene: _Scene, handle: Any, matrix: Matrix | None) -> None:
    box = _box(handle, matrix)
    width, height = box[2] - box[0], box[3] - box[1]
    if min(width, height) <= _THIN:
        scene.strokes.append(box)
        return
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(handle, mode, stroke)
    is_rectangle = pdfium.FPDFPath_CountSegments(handle) <= _RECTANGLE
    if stroke.value and is_rectangle:
        scene.frames.append(box)
    if mode.value == pdfium.FPDF_FILLMODE_NONE:
        return
    scene.shapes += 1
    opaque = is_rectangle and not pdfium.FPDFPageObj_HasTransparency(handle)
    scene.fills.append((scene.order, box, _fill(handle) if opaque else None))


def _add_cover(scene: _Scene, handle: Any) -> None:
    """Add the last filled rectangle, as far as its clip lets it be seen, to what covers the text before it."""
    left, bottom, right, top = scene.fills[-1][1]
    clip = pdfium.FPDFPageObj_GetClipPath(handle)
    for path in range(max(0, pdfium.FPDFClipPath_CountPaths(clip)) if clip else 0):
        count = pdfium.FPDFClipPath_CountPathSegments(clip, path)
        if not 0 < count <= _RECTANGLE:
            return
        points = [_point(pdfium.FPDFClipPath_GetPathSegment(clip, path, segment)) for segment in range(count)]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, bottom = max(left, min(xs)), max(bottom, min(ys))
        right, top = min(right, max(xs)), min(top, max(ys))
    if left < right and bottom < top:
        scene.covers.append((scene.order, (left, bottom, right, top)))


def _point(segment: Any) -> tuple[float, float]:
    x, y = ctypes.c_float(), ctypes.c_float()
    pdfium.FPDFPathSegment_GetPoint(segment, x, y)
    return x.value, y.value


def _covered_texts(scene: _Scene) -> Iterator[tuple[_Text, list[Box]]]:
    """Yield the texts over which rectangles are painted later, with these."""
    bands: dict[int, list[Box]] = defaultdict(list)
    covers = [*scene.covers]
    for text in reversed(scene.texts):
        while covers and covers[-1][0] > text.order:
            _, box = covers.pop()
            for band in range(int(box[1] // _BAND), int(box[3] // _BAND) + 1):
                bands[band].append(box)
        if not bands:
            continue
        left, bottom, right, top = _box(text.handle, text.matrix)
        middle = 0.5 * (bottom + top)
        over = [box for box in bands[int(middle // _BAND)] if box[0] < right and left < box[2]]
        over = [box for box in over if box[1] < middle < box[3]]
        if over:
            yield text, over


def _hidden_texts(scene: _Scene) -> Iterator[_Text]:
    """Yield what is painted invisibly, unless it is the text of a picture, and what has the colour of its ground."""
    shown = any(not text.invisible for text in scene.texts)
    colours = {colour for _, _, colour in scene.fills if colour is not None} | {_WHITE}
    for text in scene.texts:
        if text.invisible:
            if _is_text_of_picture(_box(text.handle, text.matrix), scene) or (scene.shapes and not shown):
                scene.layered = True
            else:
                yield text
        elif text.colour is not None and any(_same(text.colour, colour) for colour in colours):
            ground = _ground(scene, text)
            if ground is not None and _same(text.colour, ground):
                yield text


def _is_text_of_picture(box: Box, scene: _Scene) -> bool:
    x, y = 0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3])
    return any(contains(picture, x, y) for picture, _ in scene.pictures)


def _ground(scene: _Scene, text: _Text) -> Colour | None:
    """Return the colour on which a text is painted; None if that cannot be told."""
    box = _box(text.handle, text.matrix)
    x, y = 0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3])
    for order, place, colour in reversed(scene.fills):
        if order < text.order and contains(place, x, y):
            return colour
    return _WHITE


def _same(colour: Colour, other: Colour) -> bool:
    return all(abs(one - two) <= _SAME for one, two in zip(colour, other, strict=True))


def _fill(handle: Any) -> Colour | None:
    """Return the colour of an object; None if it is a pattern or lets the ground shine through."""
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    if not pdfium.FPDFPageObj_GetFillColor(handle, red, green, blue, alpha) or alpha.value < 255:
        return None
    return red.value, green.value, blue.value


def _is_photo(handle: Any) -> bool:
    """Return whether a picture is stored as JPEG."""
    name = ctypes.create_string_buffer(32)
    filters = pdfium.FPDFImageObj_GetImageFilterCount(handle)
    if filters < 1:
        return False
    pdfium.FPDFImageObj_GetImageFilter(handle, filters - 1, name, 32)
    return name.value in (b"DCTDecode", b"JPXDecode", b"DCT")


def _box(handle: Any, matrix: Matrix | None) -> Box:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(handle, left, bottom, right, top)
    box = left.value, bottom.value, right.value, top.value
    if matrix is None:
        return box
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs, ys = [a * x + c * y + e for x, y in corners], [b * x + d * y + f for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _product(first: Matrix, second: Matrix | None) -> Matrix:
    """Return the matrix that applies `first`, then `second`."""
    if second is None:
        return first
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u
