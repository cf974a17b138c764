"""Which runs of a page a reader sees: the page is drawn with and without them; a run that changes nothing is hidden.

Pixels decide, not attributes: they cover every way of hiding (no ink, the colour of the ground, something on top, a
layer that is off, a clip, transparency, off the page) and every honest exception (white on a dark box).
"""

import ctypes
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from sealserve.intake.pdf.characters import Display, Run, page_objects, parts_of

PIXELS_PER_POINT = 1.0
"""72 dpi: one pixel a point. Footnotes of six points leave ink enough."""

MOST_PIXELS = 4_000_000  # of one page; a larger one is drawn smaller
LEAST_DIFFERENCE = 20
"""Of 255, in one colour channel: less than very light grey on white is not read."""

_PLENTY_OF_INK, _LEAST_INK = 0.25, 0.04  # of a run's box
_LEAST_SPREAD = 0.4  # of the box's rows, and of its columns
_LEAST_SIZE = 3.0  # points; smaller letters are dust on paper
_LEAST_SHARE_OF_PAGE = 0.0036  # of the page's height: small print of a small page is to scale
_LEAST_ADVANCE = 0.5  # points a letter
_OVERLAP = 0.15  # of a run's box that other runs cover, from which they are drawn one without the other
_MOST_LAYERS = 4
_AT_ONCE = 128  # runs that are compared with all others in one go
_SCAN_SEEN, _SCAN_PICTURE = 0.2, 0.6
"""Of a page's runs, and of its area: where no more is seen (a stamp, a page number) and pictures cover so much, what is
invisible over something drawn is what text recognition has read there."""

_NO_INK_MODES = (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)

Pixels = NDArray[np.uint8]
Ink = NDArray[np.bool_]
Area = tuple[slice, slice]


def is_readable_size(run: Run, display: Display) -> bool:
    """Return whether the letters are large enough to be read from paper of that size."""
    box = run.box
    height = max(run.style.size, min(box.bottom - box.top, box.right - box.left))
    if height < min(_LEAST_SIZE, _LEAST_SHARE_OF_PAGE * display.height):
        return False
    longer_side = max(box.right - box.left, box.bottom - box.top)
    return len(run.text) < 3 or longer_side >= _LEAST_ADVANCE * len(run.text)


class Canvas:
    """A page that can be drawn again and again, with some of its text left out."""

    def __init__(self, page: Any, display: Display) -> None:
        self._page = page
        self.display = display
        self.scale = min(PIXELS_PER_POINT, math.sqrt(MOST_PIXELS / max(1.0, display.width * display.height)))
        self._width = max(1, min(30_000, math.ceil(display.width * self.scale)))
        self._height = max(1, min(30_000, math.ceil(display.height * self.scale)))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._height, self._width

    def draw(self, left_out: Iterable[Any] = (), *, in_colour: bool = False) -> Pixels:
        """Return the page's pixels without the objects `left_out`: height × width × channels, one (grey) or four (blue,
        green, red, unused).
        """
        channels, layout = (4, pdfium.FPDFBitmap_BGRx) if in_colour else (1, pdfium.FPDFBitmap_Gray)
        pixels = np.full((self._height, self._width, channels), 255, np.uint8)
        targets = list(left_out)
        for target in targets:
            pdfium.FPDFPageObj_SetIsActive(target, False)
        size = (self._width, self._height)
        bitmap = pdfium.FPDFBitmap_CreateEx(*size, layout, pixels.ctypes.data, self._width * channels)
        if not bitmap:
            raise MemoryError
        try:
            pdfium.FPDF_RenderPageBitmap(bitmap, self._page, 0, 0, *size, 0, pdfium.FPDF_ANNOT)
        finally:
            pdfium.FPDFBitmap_Destroy(bitmap)
            for target in targets:
                pdfium.FPDFPageObj_SetIsActive(target, True)
        return pixels

    def areas(self, runs: Sequence[Run], *, margin: float = 0.0) -> list[Area | None]:
        """Return the pixels of each run's box, `margin` em around it, as rows and columns; None outside the page."""
        around = np.array([margin * run.style.size for run in runs])[:, None] * np.array([-1, -1, 1, 1])
        boxes = (np.array([run.box for run in runs]) + around) * self.scale
        limits = (self._width, self._height)
        low = np.clip(np.floor(boxes[:, :2]), 0, limits).astype(int).tolist()
        high = np.clip(np.ceil(boxes[:, 2:]), 0, limits).astype(int).tolist()
        return [
            (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None
            for (left, top), (right, bottom) in zip(low, high, strict=True)
        ]


def seen_runs(page: Any, runs: Sequence[Run], display: Display) -> list[bool]:
    """Return for each run whether a reader sees it.

    Draws the page twice, oftener where text lies on text, and again in colour where something is not seen in grey.
    """
    if not runs:
        return []
    canvas = Canvas(page, display)
    layers = _layers(runs)
    seen = _seen_in_layers(canvas, runs, layers, in_colour=False)
    if not all(seen):
        seen = _seen_in_layers(canvas, runs, layers, in_colour=True)
    if not all(seen):
        seen = _seen_after_all(page, canvas, runs, seen, is_flat=max(layers) == 0)
    return [is_seen and is_readable_size(run, display) for is_seen, run in zip(seen, runs, strict=True)]


def _seen_after_all(
    page: Any, canvas: Canvas, runs: Sequence[Run], seen: Sequence[bool], *, is_flat: bool
) -> list[bool]:
    """Return `seen` with what leaves no ink of its own and is there for a reader all the same.

    That is text drawn twice at one place, of which PDFium finds one, text in a font that only other machines have, and
    what text recognition has read in a picture.
    """
    texts = [one for one in page_objects(page) if pdfium.FPDFPageObj_GetType(one) == pdfium.FPDF_PAGEOBJ_TEXT]
    bare = canvas.draw(texts, in_colour=True)
    found = list(seen)
    if is_flat:
        found = _inked(canvas, _difference(canvas.draw(in_colour=True), bare), runs)
    found = [is_seen or _lacks_glyphs(canvas, bare, run) for is_seen, run in zip(found, runs, strict=True)]
    if sum(found) <= _SCAN_SEEN * len(runs) and _picture_share(page, canvas.display) >= _SCAN_PICTURE:
        found = [is_seen or _has_picture(canvas, bare, run) for is_seen, run in zip(found, runs, strict=True)]
    _follow(runs, found)
    return found


def is_blank(page: Any, display: Display) -> bool:
    """Return whether the page shows nothing at all."""
    return bool((Canvas(page, display).draw() >= 255 - LEAST_DIFFERENCE).all())


def is_without_ink(run: Run) -> bool:
    """Return whether the run is drawn invisible, as text recognition does below a scan's picture."""
    target = run.style.target
    return target is not None and pdfium.FPDFTextObj_GetTextRenderMode(target) in _NO_INK_MODES


def _seen_in_layers(canvas: Canvas, runs: Sequence[Run], layers: Sequence[int], *, in_colour: bool) -> list[bool]:
    """Return what each run's layer adds to the page; with several, what it shows without the others has to do too."""
    whole = canvas.draw(in_colour=in_colour)
    targets = {run.style.number: run.style.target for run in runs if run.style.target}
    bare = canvas.draw(targets.values(), in_colour=in_colour)
    if max(layers) == 0:
        return _inked(canvas, _difference(whole, bare), runs)
    seen = [False] * len(runs)
    for layer in range(max(layers) + 1):
        places = [place for place, of in enumerate(layers) if of == layer]
        own = {runs[place].style.number for place in places} & targets.keys()
        without = canvas.draw([targets[number] for number in own], in_colour=in_colour)
        alone = canvas.draw([targets[number] for number in targets.keys() - own], in_colour=in_colour)
        mine = [runs[place] for place in places]
        adds, shows = _inked(canvas, _difference(whole, without), mine), _inked(canvas, _difference(alone, bare), mine)
        for place, is_added, is_shown in zip(places, adds, shows, strict=True):
            seen[place] = is_added and is_shown
    return seen


def _difference(one: Pixels, other: Pixels) -> Ink:
    """Return where two drawings differ to the eye, height × width."""
    large: Ink = np.maximum(one, other) - np.minimum(one, other) >= LEAST_DIFFERENCE
    found: Ink = large.reshape(large.shape[:2]) if large.shape[2] == 1 else np.any(large[:, :, :3], axis=2)
    return found


def _inked(canvas: Canvas, ink: Ink, runs: Sequence[Run]) -> list[bool]:
    return [area is not None and _is_written(ink[area]) for area in canvas.areas(runs)]


def _is_written(spot: Ink) -> bool:
    """Return whether ink is spread over a box as letters are, not along a rule or a neighbour's edge only."""
    count = int(np.count_nonzero(spot))
    if count >= _PLENTY_OF_INK * spot.size:
        return True
    spread = min(np.count_nonzero(spot.any(axis=axis)) / spot.shape[1 - axis] for axis in (0, 1))
    return count >= _LEAST_INK * spot.size and bool(spread >= _LEAST_SPREAD)


def _layers(runs: Sequence[Run]) -> list[int]:
    """Return a number for each run, the same for all of one object: objects that overlap have different ones.

    An object that shows the same as the one it lies on (a shadow) stays in its layer.
    """
    by_object: dict[int, list[int]] = {}
    for place, run in enumerate(runs):
        by_object.setdefault(run.style.number, []).append(place)
    boxes = np.array([run.box for run in runs])
    around = np.array([[*boxes[p, :2].min(axis=0), *boxes[p, 2:].max(axis=0)] for p in by_object.values()])
    near = {number for pair in _overlaps(around, share=0.0) for number in pair}
    places = [p for number, found in enumerate(by_object.values()) if number in near for p in found]
    below: dict[int, set[int]] = {}
    for one, other in _overlaps(boxes[places], share=_OVERLAP):
        upper, lower = runs[places[one]], runs[places[other]]
        if upper.style.number > lower.style.number and upper.text != lower.text:
            below.setdefault(upper.style.number, set()).add(lower.style.number)
    layers: dict[int, int] = {}
    for number in sorted(below):
        taken = {layers.get(lower, 0) for lower in below[number]}
        layers[number] = min(next(layer for layer in range(len(taken) + 1) if layer not in taken), _MOST_LAYERS - 1)
    return [layers.get(run.style.number, 0) for run in runs]


def _overlaps(boxes: NDArray[np.float64], *, share: float) -> Iterator[tuple[int, int]]:
    """Yield the places of boxes that have more than `share` of the smaller one in common, each pair both ways."""
    areas = np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 0.01)
    for start in range(0, len(boxes), _AT_ONCE):
        part = boxes[start : start + _AT_ONCE, None]
        width = np.minimum(part[..., 2], boxes[:, 2]) - np.maximum(part[..., 0], boxes[:, 0])
        height = np.minimum(part[..., 3], boxes[:, 3]) - np.maximum(part[..., 1], boxes[:, 1])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        smaller = np.minimum(areas[start : start + _AT_ONCE, None], areas)
        for place, other in zip(*np.nonzero(shared > share * smaller), strict=True):
            if start + place != other:
                yield start + int(place), int(other)


def _lacks_glyphs(canvas: Canvas, bare: Pixels, run: Run) -> bool:
    """Return whether a run without ink may be one that this machine has no font for: another one shows it.

    Then its attributes have to do: it is drawn, not transparent, and not in the colour of its ground.
    """
    target, (area,) = run.style.target, canvas.areas([run])
    if target is None or area is None or run.style.is_embedded or all(letter < "\u0250" for letter in run.text):
        return False
    channels = [ctypes.c_uint() for _ in range(4)]
    if is_without_ink(run) or not pdfium.FPDFPageObj_GetFillColor(target, *channels):
        return False
    red, green, blue, alpha = (channel.value for channel in channels)
    ground = np.median(bare[area].reshape(-1, 4), axis=0)[:3]
    contrast = np.abs(ground - np.array([blue, green, red])).max() * alpha / 255
    return bool(contrast >= LEAST_DIFFERENCE)


def _picture_share(page: Any, display: Display) -> float:
    """Return how much of the page pictures cover; overlapping ones count twice."""
    numbers = [ctypes.c_float() for _ in range(4)]
    area = 0.0
    for place in range(pdfium.FPDFPage_CountObjects(page)):
        target = pdfium.FPDFPage_GetObject(page, place)
        parts = parts_of(target)
        if not any(pdfium.FPDFPageObj_GetType(part) == pdfium.FPDF_PAGEOBJ_IMAGE for part in parts):
            continue
        pdfium.FPDFPageObj_GetBounds(target, *numbers)
        left, top, right, bottom = display.box(*(number.value for number in numbers))
        width = min(right, display.width) - max(left, 0.0)
        height = min(bottom, display.height) - max(top, 0.0)
        area += max(0.0, width) * max(0.0, height)
    return area / max(1.0, display.width * display.height)


def _has_picture(canvas: Canvas, bare: Pixels, run: Run) -> bool:
    """Return whether the page without its text shows something at the run's place or just beside it."""
    (area,) = canvas.areas([run], margin=0.5)
    if area is None:
        return False
    ground = bare[area][:, :, :3]
    return int(ground.max()) - int(ground.min()) >= 2 * LEAST_DIFFERENCE


def _follow(runs: Sequence[Run], seen: list[bool]) -> None:
    """Let a run of punctuation alone, which has next to no ink, share the fate of the same object's other runs."""
    by_object: dict[int, bool] = {}
    for run, is_seen in zip(runs, seen, strict=True):
        if any(map(str.isalnum, run.text)):
            by_object[run.style.number] = by_object.get(run.style.number, False) or is_seen
    for place, run in enumerate(runs):
        if not seen[place] and not any(map(str.isalnum, run.text)):
            seen[place] = by_object.get(run.style.number, False)
