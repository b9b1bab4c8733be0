"""Operators on a whole file: its header, its bytes, its hash."""

import json


def raw_of(body):
    from tests.support.tampering import signed  # noqa: PLC0415  (which lists these operators)

    return signed(body)


def other_byte(body, rng, others):  # noqa: ARG001
    raw = bytearray(raw_of(body))
    k = rng.randrange(len(raw))
    raw[k] = (raw[k] + rng.randrange(1, 256)) % 256
    return bytes(raw)


def cut(body, rng, others):  # noqa: ARG001
    raw = raw_of(body)
    return raw[: rng.randrange(len(raw))]


def old_hash(body, rng, others):
    """Content of another file under the hash of this one."""
    raw = json.loads(raw_of(body))
    return json.dumps(raw | {"certificates": [rng.choice(others)]}).encode()


def key_twice(body, rng, others):  # noqa: ARG001
    """A key twice, the second of which would count."""
    return raw_of(body).replace(b'{"claim":', b'{"claim": "eq-24", "claim":', 1)


def escaped(body, rng, others):  # noqa: ARG001
    return raw_of(body).replace(b'"form"', b'"\\u0066orm"', 1)


def on_bytes(change):
    return lambda body, rng, others: change(raw_of(body))  # noqa: ARG005


def on_body(change):
    return lambda body, rng, others: change(body, rng)  # noqa: ARG005


FILES = {
    "file: another schema": on_body(lambda body, rng: body | {"schema": rng.choice([1, 3, "2", 2.0, True])}),
    "file: a version that is no text": on_body(lambda body, _rng: body | {"versions": {"virel": 1}}),
    "file: other versions": on_body(lambda body, _rng: body | {"versions": {"anything": "x"}}),
    "file: a key more": on_body(lambda body, _rng: body | {"note": "x"}),
    "file: another byte": other_byte,
    "file: cut": cut,
    "file: empty": on_bytes(lambda _raw: b""),
    "file: the hash of another content": old_hash,
    "file: a key twice": key_twice,
    "file: an escape": escaped,
    "file: keys backwards": on_body(lambda body, _rng: dict(reversed(body.items()))),
    "file: indented": on_bytes(lambda raw: json.dumps(json.loads(raw), indent=2).encode()),
    "file: a mark before it": on_bytes(lambda raw: b"\xef\xbb\xbf" + raw),
    "file: text after it": on_bytes(lambda raw: raw + b"{}"),
    "file: UTF-16": on_bytes(lambda raw: raw.decode().encode("utf-16")),
    "file: deep": on_bytes(lambda raw: raw[:-1] + b',"x":' + b"[" * 500 + b"]" * 500 + b"}"),
    "file: in a list": on_bytes(lambda raw: b"[" + raw + b"]"),
}
