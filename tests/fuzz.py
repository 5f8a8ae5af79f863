"""Seeded damage for the fuzz tests, and how much of it: `FUZZ_SEEDS=5000 pytest -k fuzz`.

`FUZZ_FIRST` is the first seed; a failure names the one that it met.
"""

import copy
import math
import os
import random
from contextlib import contextmanager

FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
LONGEST = 2000  # of a message
ODD_BYTES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x01")
ODD = [
    None, True, -1, 0, 1, 10**400, 2**64, 0.5, math.nan, math.inf, "", "1", "nan", "1e400", "\0",
    "../x", "\x1b[2J", "é" * 5000, [], {}, [[]], {"": 0},
]  # fmt: skip


def seeds(few):
    """``few`` of them, or as many as `FUZZ_SEEDS` says."""
    return range(FIRST, FIRST + int(os.environ.get("FUZZ_SEEDS", few)))


@contextmanager
def told(seed):
    """Let a failure in the block begin with the seed."""
    try:
        yield random.Random(seed)
    except Exception as error:
        raise AssertionError(f"FUZZ_FIRST={seed} FUZZ_SEEDS=1: {error!r}"[:LONGEST]) from error


def hurt(data, chance, *, head=400):
    """``data`` with one to eight places flipped, cut, doubled or written over.

    Half of them are in its first ``head`` bytes.
    """
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        end = min(head, len(data)) if chance.random() < 0.5 else len(data)
        at = chance.randrange(max(1, end))
        length = min(chance.choice((1, 2, 4, 30, 500)), len(data) - at)
        what = chance.randrange(8)
        if what < 3 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif what == 3:
            odd = chance.choice(ODD_BYTES)
            data[at : at + len(odd)] = odd
        elif what == 4:
            data[at : at + length] = chance.randbytes(length)
        elif what == 5:
            data[at:at] = data[at : at + length]
        elif what == 6:
            del data[at : at + length]
        elif chance.random() < 0.3:
            del data[at:]
    return bytes(data)


def hurt_json(data, chance, most=4):
    """A copy of ``data`` with one to ``most`` values replaced, removed, renamed or swapped."""
    data = copy.deepcopy(data)
    for _ in range(chance.randint(1, most)):
        found = places(data, [])
        if not found:
            break
        where, key = chance.choice(found)
        what = chance.randrange(4)
        if what == 0:
            del where[key]
        elif what == 1:
            other, its_key = chance.choice(found)
            where[key] = copy.deepcopy(other.get(its_key) if isinstance(other, dict) else None)
        elif what == 2 and isinstance(where, dict):
            where[str(chance.choice(ODD))[:40]] = where.pop(key)
        else:
            where[key] = copy.deepcopy(chance.choice(ODD))
    return data


def places(data, found):
    """Every container in ``data`` with each of its keys."""
    if not isinstance(data, (dict, list)):
        return found
    for key in data if isinstance(data, dict) else range(len(data)):
        found.append((data, key))
        places(data[key], found)
    return found


def check_sentence(error, *names):
    """A message for a user: short, harmless to a terminal, and it names the file."""
    message = str(error)
    assert message and len(message) < LONGEST, message[:300]
    assert all(char.isprintable() or char == "\n" for char in message), repr(message[:300])
    assert all(str(name) in message for name in names), message
