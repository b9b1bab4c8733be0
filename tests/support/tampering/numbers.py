"""Operators on one number of an instance: another value, or another way to write it."""

import re
from fractions import Fraction

ARABIC = {ord("0") + k: chr(0x0660 + k) for k in range(10)}
NUMBER = re.compile(r"-?[0-9]+(/[0-9]+)?")


def leaves(node, path=()):
    """Paths to all that is neither a list nor an object."""
    if isinstance(node, dict | list):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(child, (*path, key))
    else:
        yield path


def at(node, path):
    for key in path:
        node = node[key]
    return node


def place(body, path, value):
    at(body, path[:-1])[path[-1]] = value
    return body


def numbers_of(body):
    """Paths to the fractions of the instances."""
    paths = (p for p in leaves(body["certificates"]) if len(p) > 1 and p[1] == "instance")
    found = [p for p in paths if isinstance(at(body["certificates"], p), str)]
    return [("certificates", *p) for p in found if NUMBER.fullmatch(at(body["certificates"], p))]


def on_number(change):
    """Operator that changes the text of one number."""

    def operator(body, rng, others):  # noqa: ARG001
        paths = numbers_of(body)
        if not paths:
            return None
        path = rng.choice(paths)
        return place(body, path, change(at(body, path), rng))

    return operator


def on_value(change):
    """Operator that changes the value of one number."""
    return on_number(lambda text, rng: str(change(Fraction(text), rng)))


def digit(text, rng):
    k = rng.choice([m.start() for m in re.finditer(r"\d", text)])
    return text[:k] + str((int(text[k]) + rng.randrange(1, 10)) % 10) + text[k + 1 :]


def unreduced(text, rng):
    x, k = Fraction(text), rng.randrange(2, 9)
    return f"{k * x.numerator}/{k * x.denominator}"


NUMBERS = {
    "number: another digit": on_number(digit),
    "number: other sign": on_value(lambda x, _: -x),
    "number: plus 1e-40": on_value(lambda x, _: x + Fraction(1, 10**40)),
    "number: minus 2^-200": on_value(lambda x, _: x - Fraction(1, 2**200)),
    "number: plus one": on_value(lambda x, _: x + 1),
    "number: doubled": on_value(lambda x, _: 2 * x),
    "number: a third": on_value(lambda x, _: x / 3),
    "number: reciprocal": on_value(lambda x, _: 1 / x if x else x),
    "number: zero": on_value(lambda x, _: 0 * x),
    "number: one": on_value(lambda x, _: 0 * x + 1),
    "number: rounded to a float": on_value(lambda x, _: Fraction(float(x))),
    "number: very large": on_value(lambda x, rng: x * 10 ** rng.choice([5, 12, 300])),
    "number: very small": on_value(lambda x, rng: x / 10 ** rng.choice([5, 12, 300])),
    "number: 3000 digits": on_number(lambda _text, _: "9" * 2999 + "7"),
    "number: 5000 digits": on_number(lambda _text, _: "9" * 5000),
    "number: not in lowest terms": on_number(unreduced),
    "number: zeros before it": on_number(lambda text, _: "00" + text.removeprefix("-")),
    "number: minus zero": on_number(lambda _text, _: "-0"),
    "number: as a decimal": on_number(lambda text, _: str(float(Fraction(text)))),
    "number: digits of another script": on_number(lambda text, _: text.translate(ARABIC)),
    "number: blanks around it": on_number(lambda text, rng: rng.choice([" " + text, text + "\n"])),
    "number: plus sign": on_number(lambda text, _: "+" + text.removeprefix("-")),
    "number: empty": on_number(lambda _text, _: ""),
    "number: nan": on_number(lambda _text, rng: rng.choice(["nan", "inf", "-inf"])),
    "number: power of ten": on_number(lambda _text, rng: rng.choice(["1e9999", "1p9999999"])),
    "number: over zero": on_number(lambda text, _: text.partition("/")[0] + "/0"),
    "number: over a negative": on_number(lambda text, _: text.partition("/")[0] + "/-3"),
}
