"""Kinds of widgets that only nodes of ComfyUI itself have."""

from __future__ import annotations

from ..schema import ComfyTypeIO, WidgetInput


class Color(ComfyTypeIO, io_type="COLOR"):
    """`#rrggbb`."""

    class Input(WidgetInput):
        pass


class BoundingBox(ComfyTypeIO, io_type="BOUNDING_BOX"):
    """`{"x": ..., "y": ..., "width": ..., "height": ...}` in pixels."""

    class Input(WidgetInput):
        pass


class CompareView(ComfyTypeIO, io_type="IMAGECOMPARE"):
    class Input(WidgetInput):
        pass
