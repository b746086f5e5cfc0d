"""An ONNX model of one node, written byte by byte: the mean of its input."""

from __future__ import annotations

_FLOAT, _INTS, _OPSET, _IR = 1, 7, 13, 8


def mean_model(name: str, rows: int, columns: int) -> bytes:
    """A model whose output `mean` is the mean of its float input (1, rows, columns)."""
    axes = _text(1, "axes") + _number(20, _INTS) + _number(8, 1) + _number(8, 2)
    keep = _text(1, "keepdims") + _number(20, 2) + _number(3, 0)
    node = _text(1, name) + _text(2, "mean") + _text(4, "ReduceMean")
    node += _part(5, axes) + _part(5, keep)
    graph = _part(1, node) + _text(2, "graph")
    graph += _part(11, _value(name, 1, rows, columns)) + _part(12, _value("mean", 1))
    return _number(1, _IR) + _part(7, graph) + _part(8, _number(2, _OPSET))


def _value(name: str, *shape: int) -> bytes:
    dimensions = b"".join(_part(1, _number(1, size)) for size in shape)
    return _text(1, name) + _part(2, _part(1, _number(1, _FLOAT) + _part(2, dimensions)))


def _varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _part(field, text.encode())
