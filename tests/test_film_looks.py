"""A film's network looks at every other frame, and at each that is not midway between others."""

import numpy as np
import pytest
from colorizationnet.model import load_model
from colorizationnet.options import EncodeOptions, FilmOptions
from colorizationnet.pipeline import colorize_film
from video_clips import chroma, ffmpeg

SIZE = 128, 96
COUNT = 40


class Counting:
    """The shipped network, which keeps a record of the frames that it is shown."""

    def __init__(self, detailed=False):
        self._network = load_model()
        self.detailed = detailed
        self.seen = 0
        self.most = 0  # at a time

    def __getattr__(self, name):
        return getattr(self._network, name)

    def chroma_model(self, *arguments, **options):
        model = self._network.chroma_model(*arguments, **options)
        predict = model.chroma

        def chroma(luma, check=None):
            self.seen += len(luma)
            self.most = max(self.most, len(luma))
            return predict(luma, check)

        model.chroma = chroma
        return model


def clip(path, picture):
    """A grey clip of the pictures that ffmpeg's geq makes of ``picture``."""
    geq = f"geq=lum='{picture}':cb=128:cr=128"
    ffmpeg(
        *("-f", "lavfi", "-i", f"nullsrc=s={SIZE[0]}x{SIZE[1]}:r=25,{geq}"),
        *("-frames:v", COUNT, "-pix_fmt", "yuv420p", "-c:v", "ffv1", path),
    )
    return path


# Bars that drift; the same with a cut to others at frame 21, and to bars that jump each frame.
DRIFT = "128+60*sin((X+N/4)/9)+30*cos(Y/7)"
CUT = f"if(lt(N,21),{DRIFT},128+100*sin((X*Y+N)/400))"
JUMP = "128+100*sin((X+37*N*N)/9)"


def coloured(source, network, stability=0.0, frames=None):
    target = source.with_name(f"{source.stem}-{network.detailed}-{frames}.mkv")
    colorize_film(
        source,
        target,
        network,
        film=FilmOptions(stability),
        encode=EncodeOptions("ffv1", overwrite=True),
        frames=frames,
    )
    return chroma(target)


@pytest.mark.parametrize("picture, looks", [(DRIFT, (20, 22)), (CUT, (21, 24)), (JUMP, (36, 40))])
def test_the_network_looks_where_it_must(tmp_path, picture, looks):
    sparse, dense = Counting(), Counting(detailed=True)
    source = clip(tmp_path / "clip.mkv", picture)
    found, every = coloured(source, sparse), coloured(source, dense)
    assert dense.seen == COUNT
    assert looks[0] <= sparse.seen <= looks[1]
    error = np.abs(found - every)
    assert error.max() <= 3 and error.mean() < 0.25


def test_a_part_of_a_film_is_coloured_as_it_is_in_the_whole(tmp_path):
    source = clip(tmp_path / "clip.mkv", CUT)
    whole = coloured(source, Counting())
    for first in (21, 23, 24):
        part = coloured(source, Counting(), frames=range(first, COUNT))
        # Without a frame before, an even one is looked at.
        assert np.abs(part[1:] - whole[first + 1 :]).max() == 0
    assert np.array_equal(coloured(source, Counting(), frames=range(21, COUNT)), whole[21:])


@pytest.mark.parametrize("first", range(4))
def test_only_a_few_frames_are_held_wherever_a_film_begins(tmp_path, first):
    network = Counting(detailed=True)
    source = clip(tmp_path / "clip.mkv", DRIFT)
    assert len(coloured(source, network, frames=range(first, COUNT))) == COUNT - first
    assert network.most <= 12


def test_groups_of_large_frames_change_nothing(tmp_path, monkeypatch):
    from colorizationnet.pipeline import looks

    source = clip(tmp_path / "clip.mkv", DRIFT)
    whole = coloured(source, Counting(), stability=0.5)
    monkeypatch.setattr(looks, "GROUP_BYTES", 1)
    assert np.array_equal(coloured(source, Counting(), stability=0.5), whole)
