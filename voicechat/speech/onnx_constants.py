"""Constant tensors in an ONNX file, without ONNX Runtime.

Source: the messages ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto of
onnx.proto, in the wire format of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
"""Wire types."""
_GRAPH = 7
"""Field of a model."""
_NODE = 1
"""Field of a graph."""
_OUTPUT, _ATTRIBUTE = 2, 5
"""Fields of a node."""
_TENSOR, _SUBGRAPH = 5, 6
"""Fields of an attribute."""
_DIMENSION, _TYPE, _CONTENT = 1, 2, 9
"""Fields of a tensor."""
_FLOAT = 1

Tensor = NDArray[np.float32]


def float_constants(model: bytes) -> dict[str, Tensor]:
    """Return the float32 constants of a model by name, those of its branches included.

    Raises `ValueError` or `IndexError` when the bytes are no model.
    """
    return {
        name: tensor
        for field, graph in _fields(memoryview(model))
        if field == _GRAPH and isinstance(graph, memoryview)
        for name, tensor in _of_graph(graph)
    }


def _of_graph(graph: memoryview) -> Iterator[tuple[str, Tensor]]:
    for node in _every(graph, _NODE):
        names = [bytes(each).decode() for each in _every(node, _OUTPUT)]
        for attribute in _every(node, _ATTRIBUTE):
            for tensor in _every(attribute, _TENSOR):
                if (found := _floats(tensor)) is not None:
                    yield names[0], found
            for branch in _every(attribute, _SUBGRAPH):
                yield from _of_graph(branch)


def _floats(tensor: memoryview) -> Tensor | None:
    shape: list[int] = []
    content, kind = b"", 0
    for field, value in _fields(tensor):
        if field == _DIMENSION and isinstance(value, int):
            shape.append(value)
        elif field == _TYPE and isinstance(value, int):
            kind = value
        elif field == _CONTENT and not isinstance(value, int):
            content = bytes(value)
    return np.frombuffer(content, "<f4").reshape(shape) if kind == _FLOAT and content else None


def _every(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the values of one field that are bytes."""
    for field, value in _fields(message):
        if field == wanted and not isinstance(value, int):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the number and the value of each field of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind)
        if kind == _BYTES:
            size, at = _varint(message, at)
        if size is None or at + size > len(message):
            raise ValueError("this is no ONNX model")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
