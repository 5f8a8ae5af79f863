"""Options: what is out of range or no number is refused, and what is chosen is plain data."""

import math
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest
from colorizationnet.options import (
    ColorOptions,
    EncodeOptions,
    FilmOptions,
    ShotOptions,
    TeachOptions,
)

NOT_NUMBERS = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        (ColorOptions(), "quality", "finest"),
        (ColorOptions(), "mode", "rgb"),
        (ColorOptions(), "look", "loud"),
        (ColorOptions(), "precision", "fp8"),
        (ColorOptions(), "strength", 1.5),
        (ColorOptions(), "saturation", -1.0),
        (ColorOptions(), "saturation", 1e400),
        (ColorOptions(), "render_size", -8),
        (TeachOptions(), "steps", 0),
        (TeachOptions(), "seed", -1),
        (FilmOptions(), "stability", 1.01),
        (ShotOptions(), "keyframes", 0),
        (ShotOptions(), "sensitivity", -0.1),
        (EncodeOptions(), "format", "divx"),
        *((ColorOptions(), "strength", value) for value in NOT_NUMBERS),
        *((ColorOptions(), "saturation", value) for value in NOT_NUMBERS),
        *((FilmOptions(), "stability", value) for value in NOT_NUMBERS),
        *((ShotOptions(), "sensitivity", value) for value in NOT_NUMBERS),
        *((EncodeOptions(), "quality", value) for value in NOT_NUMBERS),
    ],
)
def test_what_is_not_offered_is_named(options, setting, value):
    with pytest.raises(ValueError, match=setting):
        replace(options, **{setting: value})


@pytest.mark.parametrize(
    "options",
    [
        ColorOptions(),
        TeachOptions(),
        FilmOptions(),
        ShotOptions(),
        EncodeOptions(metadata={"a": "b"}),
    ],
)
def test_options_travel_to_other_processes(options):
    assert pickle.loads(pickle.dumps(options)) == options  # noqa: S301, our own data


def test_options_need_no_torch():
    program = "import sys, colorizationnet.options; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
