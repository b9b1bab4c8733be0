"""Operators that tamper with certificate files, by name; the tamperer recomputes the hash.

An operator takes the content of a file, a generator and other certificates. It returns new content, which the
tamperer signs, or the bytes of a file, or None where there is nothing for it to change.
"""

import copy
import hashlib
import json

from tests.support.tampering.claims import CLAIMS
from tests.support.tampering.files import FILES
from tests.support.tampering.numbers import NUMBERS
from tests.support.tampering.shapes import SHAPES

OPERATORS = NUMBERS | SHAPES | CLAIMS | FILES


def signed(body):
    """A file's bytes: the content with its hash, as the format has it."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return json.dumps(body | {"sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


def tampered(body, name, rng, others):
    """Bytes that the operator called `name` makes of a file; None if it does not apply."""
    out = OPERATORS[name](copy.deepcopy(body), rng, others)
    if out is None or isinstance(out, bytes):
        return out
    return None if json.dumps(out) == json.dumps(body) else signed(out)
