"""Figures as they stand on the page: embedded, described, with links to their files."""

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from workflow.analysis import register

__all__ = ["Embedded", "Picture", "embedded", "picture", "shows_something"]

COLOURS = 64  # without loss: more are not told apart in lines and letters
WIDEST = 800  # pixels: about a column of the page; a click opens the whole


@dataclass(frozen=True)
class Embedded:
    """An image as a data URL, and its size in pixels."""

    data: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """A figure: image, caption, and links to its files."""

    name: str
    title: str
    alt: str
    caption: str
    image: Embedded
    files: dict[str, str]


def shows_something(png: Path) -> bool:
    """Whether a figure has numbers: one without says only why, in its own folder."""
    numbers = png.with_suffix(".csv")
    if not numbers.exists():
        return True
    with numbers.open(encoding="utf-8") as lines:
        return len(list(islice(lines, 2))) == 2


def embedded(png: Path) -> Embedded:
    """Lines and letters in few colours without loss, or maps with a little loss, whichever is smaller."""
    with Image.open(png) as image:
        whole = image.convert("RGB")
    if whole.width > WIDEST:
        whole = whole.resize((WIDEST, round(whole.height * WIDEST / whole.width)), Image.Resampling.LANCZOS)
    few = whole.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB")
    # At quality 60 the first would take twice the time for a fifth less.
    data = min(_webp(few, lossless=True, quality=20, method=1), _webp(whole, quality=60, method=2), key=len)
    return Embedded("data:image/webp;base64," + base64.b64encode(data).decode("ascii"), whole.size)


def _webp(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", **options)
    return stream.getvalue()


def picture(png: Path, image: Embedded, experiment: str, link: Callable[[Path], str]) -> Picture:
    """A figure of an experiment, or of all (an empty text), with its caption and links to all its files."""
    name = png.stem
    caption = register.figure(name).caption
    first = re.split(r"(?<=[.:])\s", caption, maxsplit=1)[0].rstrip(".:")
    return Picture(
        name=name,
        title=name.replace("-", ", ").capitalize(),
        alt=f"{experiment}: {first}" if experiment else first,
        caption=caption,
        image=image,
        files={
            suffix: link(png.with_suffix(f".{suffix}"))
            for suffix in ("pdf", "png", "csv")
            if png.with_suffix(f".{suffix}").exists()
        },
    )
