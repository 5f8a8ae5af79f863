"""Timecodes counted on (SMPTE ST 12-1)."""

import re
from fractions import Fraction

_TIMECODE = re.compile(r"^(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)$")
RATES = (24, 25, 30, 48, 50, 60, 100, 120)  # frames that a second of timecode may have


def advanced(timecode: str, frames: int, fps: Fraction) -> str | None:
    """``timecode`` so many ``frames`` later; None for what is no timecode of such a rate.

    A semicolon or a dot before the frames says that numbers are dropped to stay with the clock:
    at 30 a second two each minute but the tenth, at 60 four.
    """
    found = _TIMECODE.match(timecode)
    rate = round(fps)
    if not found or rate not in RATES or abs(fps / rate - 1) > Fraction(1, 500):
        return None
    hours, minutes, seconds, number = (int(found[group]) for group in (1, 2, 3, 5))
    dropped = rate // 15 if found[4] in ";." and rate % 30 == 0 else 0
    total_minutes = hours * 60 + minutes
    count = (total_minutes * 60 + seconds) * rate + number + frames
    count -= dropped * (total_minutes - total_minutes // 10)
    if dropped:
        tens, rest = divmod(count, 600 * rate - 9 * dropped)
        count += 9 * dropped * tens
        if rest >= 60 * rate:
            count += dropped * (1 + (rest - 60 * rate) // (60 * rate - dropped))
    seconds, number = divmod(count, rate)
    clock = (seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    return f"{':'.join(f'{part:02}' for part in clock)}{found[4]}{number:02}"
