"""Operators on types, lists, objects and packed arrays."""

import base64
import copy
import json
import struct
import zlib
from fractions import Fraction

from tests.support.tampering.numbers import at, leaves, numbers_of, place


def nodes(node, kind, path=()):
    """Paths to all lists, or all objects, below a node."""
    if isinstance(node, kind):
        yield path
    if isinstance(node, dict | list):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from nodes(child, kind, (*path, key))


def on_leaf(wanted, change):
    """Operator that changes one text, or one whole number, anywhere in the certificates."""

    def operator(body, rng, others):  # noqa: ARG001
        paths = [p for p in leaves(body["certificates"]) if type(at(body["certificates"], p)) is wanted]
        if not paths:
            return None
        path = ("certificates", *rng.choice(paths))
        return place(body, path, change(at(body, path), rng))

    return operator


def on_node(kind, change):
    """Operator that changes one list, or one object, in the certificates; `change` may say no by None."""

    def operator(body, rng, others):  # noqa: ARG001
        paths = [p for p in nodes(body["certificates"], kind) if p and at(body["certificates"], p)]
        path = ("certificates", *rng.choice(paths))
        changed = change(copy.deepcopy(at(body, path)), rng)
        return None if changed is None else place(body, path, changed)

    return operator


def without(x, rng):
    del x[rng.choice(list(x) if isinstance(x, dict) else range(len(x)))]
    return x


def repeated(x, rng):
    k = rng.randrange(len(x))
    return [*x[:k], x[k], *x[k:]]


def swapped(x, rng):
    keys = list(x) if isinstance(x, dict) else list(range(len(x)))
    a, b = rng.choice(keys), rng.choice(keys)
    x[a], x[b] = x[b], x[a]
    return x


def renamed(x, rng):
    key = rng.choice(list(x))
    return {("v_new" if name == key else name): value for name, value in x.items()}


def packed_of(body):
    """Paths to packed arrays."""
    texts = [("certificates", *p) for p in leaves(body["certificates"])]
    return [p for p in texts if isinstance(at(body, p), str) and at(body, p).startswith("eA")]


def on_packed(change):
    """Operator that changes the bytes of a packed array; `change` returns the stream that is packed."""

    def operator(body, rng, others):  # noqa: ARG001
        paths = packed_of(body)
        if not paths:
            return None
        path = rng.choice(paths)
        raw = zlib.decompress(base64.b64decode(at(body, path)))
        return place(body, path, base64.b64encode(change(raw, rng)).decode())

    return operator


def other_byte(raw, rng):
    k = rng.randrange(len(raw))
    return zlib.compress(raw[:k] + bytes([raw[k] ^ rng.randrange(1, 256)]) + raw[k + 1 :])


def other_float(raw, rng):
    """One float a little larger, where the array may be one of floats."""
    k = 8 * rng.randrange(max(1, len(raw) // 8))
    if len(raw) < k + 8:
        return zlib.compress(raw)
    (x,) = struct.unpack_from("<d", raw, k)
    return zlib.compress(raw[:k] + struct.pack("<d", x * (1 + 2.0**-30) + 2.0**-40) + raw[k + 8 :])


def packed_numbers(body, rng, others):  # noqa: ARG001
    """A list of numbers as packed floats, which mean the same where all of them are floats."""
    paths = [p[:-1] for p in numbers_of(body) if isinstance(at(body, p[:-1]), list)]
    if not paths:
        return None
    path = rng.choice(paths)
    if not all(isinstance(x, str) for x in at(body, path)):
        return None
    raw = struct.pack(f"<{len(at(body, path))}d", *(float(Fraction(x)) for x in at(body, path)))
    return place(body, path, base64.b64encode(zlib.compress(raw, 1)).decode())


SHAPES = {
    "type: whole number for a text": on_leaf(str, lambda _x, _rng: 1),
    "type: float for a text": on_leaf(str, lambda _x, _rng: 0.5),
    "type: null": on_leaf(str, lambda _x, _rng: None),
    "type: true for a text": on_leaf(str, lambda _x, _rng: True),
    "type: a list around a text": on_leaf(str, lambda x, _rng: [x]),
    "type: an object around a text": on_leaf(str, lambda x, _rng: {"x": x}),
    "type: text for a whole number": on_leaf(int, lambda x, _rng: str(x)),
    "type: true for a whole number": on_leaf(int, lambda x, _rng: bool(x)),
    "type: float for a whole number": on_leaf(int, lambda x, _rng: float(x)),
    "index: one more": on_leaf(int, lambda x, _rng: x + 1),
    "index: negative": on_leaf(int, lambda x, _rng: -x - 1),
    "index: huge": on_leaf(int, lambda _x, rng: rng.choice([10**18, 10**50])),
    "list: an item less": on_node(list, without),
    "list: an item twice": on_node(list, repeated),
    "list: two items swapped": on_node(list, swapped),
    "list: backwards": on_node(list, lambda x, _rng: x[::-1]),
    "list: empty": on_node(list, lambda _x, _rng: []),
    "list: twice as long": on_node(list, lambda x, _rng: x + x),
    "list: one more zero": on_node(list, lambda x, _rng: [*x, "0"]),
    "list: a list around it": on_node(list, lambda x, _rng: [x]),
    "list: an object for it": on_node(list, lambda x, _rng: {str(i): y for i, y in enumerate(x)}),
    "list: a text for it": on_node(list, lambda x, _rng: json.dumps(x)),
    "object: a key less": on_node(dict, without),
    "object: a key more": on_node(dict, lambda x, rng: x | {"extra": rng.choice(list(x.values()))}),
    "object: a key renamed": on_node(dict, renamed),
    "object: two values swapped": on_node(dict, swapped),
    "object: a list for it": on_node(dict, lambda x, _rng: list(x.values())),
    "packed: another byte": on_packed(other_byte),
    "packed: another float": on_packed(other_float),
    "packed: a byte less": on_packed(lambda raw, _rng: zlib.compress(raw[:-1])),
    "packed: eight bytes more": on_packed(lambda raw, _rng: zlib.compress(raw + bytes(8))),
    "packed: compressed in another way": on_packed(lambda raw, _rng: zlib.compress(raw, 9)),
    "packed: the stream cut": on_packed(lambda raw, _rng: zlib.compress(raw)[:-2]),
    "packed: bytes after the stream": on_packed(lambda raw, _rng: zlib.compress(raw) + b"more"),
    "packed: two streams": on_packed(lambda raw, _rng: zlib.compress(raw) + zlib.compress(raw)),
    "packed: not compressed": on_packed(lambda raw, _rng: raw),
    "packed: a bomb": on_packed(lambda _raw, _rng: zlib.compress(bytes(3_000_000))),
    "packed: floats for a list": packed_numbers,
}
