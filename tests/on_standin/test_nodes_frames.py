"""Load Video Frames, Save Video Frames and Stabilize Colors on the stand-in host."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.host import current
from colorizationnet.model import rgb_to_chroma, rgb_to_luma
from colorizationnet.video import probe, read_frames
from node_classes import node
from video_clips import ffmpeg, make_variable


def test_load_splits_and_save_reassembles(clip):
    frames, audio, fps, count, _ = node("LoadVideo").execute(clip.name, 0, 0, 1, 10)
    assert [len(batch) for batch in frames] == [10, 10, 5] and count == 25
    assert Fraction(fps).limit_denominator(1001) == Fraction(30000, 1001)
    assert audio["sample_rate"] == 48000

    node("SaveVideo").execute(frames, [fps], ["clip"], ["ffv1"], [audio])
    saved = probe(current().output / "clip_00001_.mkv")
    assert (saved.frame_count, saved.fps) == (25, Fraction(30000, 1001))
    assert len(saved.audio) == 1
    again = torch.cat([torch.from_numpy(batch) for batch in read_frames(saved)])
    before = torch.cat(frames).mul(255)
    # Chroma is halved once more on the way, and what leaves the gamut by that is clipped; the
    # luma of all else loses nothing but its rounding.
    inside = ((again > 8) & (again < 247)).all(-1)
    lost = rgb_to_luma((again - before).permute(0, 3, 1, 2))[:, 0][inside]
    assert inside.float().mean() > 0.2
    assert lost.abs().mean() < 1 and abs(lost.mean()) < 0.1


def test_load_takes_the_part_that_is_asked_for(clip):
    whole = torch.cat(node("LoadVideo").execute(clip.name, 0, 0, 1, 16)[0])
    frames, _, fps, count, _ = node("LoadVideo").execute(clip.name, 3, 5, 2, 2)
    assert count == 5 and torch.equal(torch.cat(frames), whole[3:13:2])
    assert fps == pytest.approx(30000 / 1001 / 2)


def test_a_variable_rate_is_made_steady_with_every_frame_at_its_time(folders, caplog):
    gaps = [1] * 10 + [3] * 9 + [1]  # in 1/30 s
    shown = np.repeat(np.arange(20), gaps)
    chosen = "+".join(f"eq(n,{sum(gaps[:i])})" for i in range(20))
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30:d=2", "-f", "lavfi", "-i", "sine=d=2"),
        *("-vf", f"select='{chosen}'", "-frames:v", "20", "-fps_mode", "passthrough"),
        *("-c:v", "ffv1", "-pix_fmt", "yuv420p", folders / "input" / "clip.mkv"),
    )
    frames, audio, fps, count, _ = node("LoadVideo").execute("clip.mkv", 0, 0, 1, 100)
    assert (fps, count) == (30, len(shown))
    assert "30 a second" in caplog.text
    own = torch.from_numpy(next(read_frames(folders / "input" / "clip.mkv", batch_size=20))) / 255
    assert (frames[0] - own[shown]).abs().max() < 1e-6
    assert audio["waveform"].shape[2] / audio["sample_rate"] == pytest.approx(count / fps, abs=0.02)


def test_load_refuses_what_does_not_fit_in_memory(clip, monkeypatch):
    monkeypatch.setattr(StandInHost, "free_memory", lambda *_: 1000)
    with pytest.raises(ValueError, match="Colorize Video"):
        node("LoadVideo").execute(clip.name, 0, 0, 1, 16)


def test_a_format_that_no_browser_plays_is_shown_by_a_proxy(clip):
    frames, _, fps, *_ = node("LoadVideo").execute(clip.name, 0, 4, 1, 4)
    shown = node("SaveVideo").execute(frames, [fps], ["clip"], ["prores"]).ui.as_dict()["images"]
    assert [file["type"] for file in shown] == ["temp", "output"]
    assert probe(current().input_path(f"{shown[0]['filename']} [temp]")).codec == "h264"
    assert probe(current().output / "clip_00001_.mov").codec == "prores"


def test_nothing_is_overwritten(clip):
    frames, _, fps, *_ = node("LoadVideo").execute(clip.name, 0, 2, 1, 2)
    for number in (1, 2):
        node("SaveVideo").execute(frames, [fps], ["clip"], ["h264"])
        assert (current().output / f"clip_0000{number}_.mp4").is_file()


def test_batches_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="more than one size"):
        node("SaveVideo").execute(
            [torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 9, 3)], [24.0], ["clip"], ["h264"]
        )
    assert not list(current().output.iterdir())


def test_stabilize_colors_takes_flicker_out_and_keeps_luma():
    blocks = torch.rand(1, 8, 12, 3).mul(0.4).add(0.3)
    still = blocks.repeat_interleave(6, 1).repeat_interleave(6, 2)
    flicker = torch.randn(16, 1, 1, 3) * 0.03
    frames = (still + flicker).clamp(0, 1)
    batches = node("StabilizeColors").execute([frames[:5], frames[5:]], [0.5])[0]
    steady = torch.cat(batches)
    assert [len(batch) for batch in batches] == [5, 11]
    luma = [rgb_to_luma(x.permute(0, 3, 1, 2)) for x in (frames, steady)]
    assert (luma[0] - luma[1]).abs().max() < 1e-5
    chroma = [rgb_to_chroma(x.permute(0, 3, 1, 2))[8:].std(0).mean() for x in (frames, steady)]
    assert chroma[1] < chroma[0] / 2


def test_the_pixels_aspect_comes_through_both_frame_nodes(folders):
    path = folders / "input" / "wide.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25", "-frames:v", "4"),
        *("-vf", "setsar=2896/2889:max=65535", "-c:v", "libx264", "-pix_fmt", "yuv420p", path),
    )
    frames, _, fps, _, aspect = node("LoadVideo").execute(path.name, 0, 0, 1, 4)
    assert aspect == pytest.approx(2896 / 2889)
    node("SaveVideo").execute(frames, [fps], ["clip"], ["h264"], pixel_aspect=[aspect])
    saved = probe(current().output / "clip_00001_.mp4")
    assert float(saved.sample_aspect_ratio) == pytest.approx(aspect, abs=1e-4)


def test_the_loader_tells_what_its_widgets_zeros_stand_for(clip):
    assert node("LoadVideo").describe("clip.mkv") == {
        "frame_count": 25,
        "rate": 29.97,
        "short_side": 64,
    }
    with pytest.raises(FileNotFoundError):
        node("LoadVideo").describe("gone.mkv")


def test_of_a_variable_rate_it_tells_what_will_be_loaded(folders):
    path = folders / "input" / "variable.mp4"
    make_variable(path, "-pix_fmt", "yuv420p")
    frames, _, fps, count, _ = node("LoadVideo").execute(path.name, 0, 0, 1, 100)
    told = node("LoadVideo").describe(path.name)
    assert count == sum(map(len, frames)) > 1.5 * probe(path).frame_count
    assert told["rate"] == fps and abs(told["frame_count"] - count) <= 1
