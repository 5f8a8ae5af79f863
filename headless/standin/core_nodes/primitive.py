"""Nodes that hold one value."""

from __future__ import annotations

import sys

from .. import schema as io


class _Primitive(io.ComfyNode):
    @classmethod
    def execute(cls, value) -> io.NodeOutput:
        return io.NodeOutput(value)


def _schema(node_id: str, name: str, value: io.Input, output: io.Output) -> io.Schema:
    return io.Schema(
        node_id=node_id,
        display_name=name,
        category="utilities/primitive",
        inputs=[value],
        outputs=[output],
    )


class PrimitiveString(_Primitive):
    @classmethod
    def define_schema(cls):
        value = io.String.Input("value", default="")
        return _schema("PrimitiveString", "Text", value, io.String.Output())


class PrimitiveStringMultiline(_Primitive):
    @classmethod
    def define_schema(cls):
        value = io.String.Input("value", default="")
        return _schema("PrimitiveStringMultiline", "Text (Multiline)", value, io.String.Output())


class PrimitiveInt(_Primitive):
    @classmethod
    def define_schema(cls):
        value = io.Int.Input(
            "value", default=0, min=-sys.maxsize, max=sys.maxsize, control_after_generate=True
        )
        return _schema("PrimitiveInt", "Int", value, io.Int.Output())


class PrimitiveFloat(_Primitive):
    @classmethod
    def define_schema(cls):
        value = io.Float.Input("value", default=0.0, min=-sys.maxsize, max=sys.maxsize, step=0.1)
        return _schema("PrimitiveFloat", "Float", value, io.Float.Output())


class PrimitiveBoolean(_Primitive):
    @classmethod
    def define_schema(cls):
        value = io.Boolean.Input("value", default=False)
        return _schema("PrimitiveBoolean", "Boolean", value, io.Boolean.Output())
