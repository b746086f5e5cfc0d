"""ONNX models of one node, written byte by byte: each output is a mean over its input."""

from __future__ import annotations

_FLOAT, _INT64 = 1, 7
_INTS, _OPSET, _IR = 7, 13, 8


def mean_model(name: str, rows: int, columns: int) -> bytes:
    """A model whose output `mean` is the mean of its float input (1, rows, columns)."""
    return _model(name, "mean", (1, 2), _value(name, _FLOAT, 1, rows, columns))


def style_model() -> bytes:
    """A model with the inputs of Kokoro whose sound `audio` is its style, 256 samples."""
    inputs = (
        _value("tokens", _INT64, 1, None),
        _value("style", _FLOAT, 1, 256),
        _value("speed", _FLOAT, 1),
    )
    return _model("style", "audio", (0,), *inputs)


def _model(reduced: str, output: str, axes: tuple[int, ...], *inputs: bytes) -> bytes:
    """A model that reduces one of its inputs over these axes."""
    numbers = b"".join(_number(8, axis) for axis in axes)
    node = _text(1, reduced) + _text(2, output) + _text(4, "ReduceMean")
    node += _part(5, _text(1, "axes") + _number(20, _INTS) + numbers)
    node += _part(5, _text(1, "keepdims") + _number(20, 2) + _number(3, 0))
    graph = _part(1, node) + _text(2, "graph")
    graph += b"".join(_part(11, each) for each in inputs)
    graph += _part(12, _value(output, _FLOAT, None))
    return _number(1, _IR) + _part(7, graph) + _part(8, _number(2, _OPSET))


def _value(name: str, kind: int, *shape: int | None) -> bytes:
    """The name, type and shape of an input or output; None is any size."""
    sizes = (b"" if size is None else _number(1, size) for size in shape)
    dimensions = b"".join(_part(1, size) for size in sizes)
    return _text(1, name) + _part(2, _part(1, _number(1, kind) + _part(2, dimensions)))


def _varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _part(field, text.encode())
