"""Colorize Video on the stand-in host."""

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.clip import VideoFromFile
from colorizationnet.model import rgb_to_luma
from colorizationnet.pipeline import colorize_film
from colorizationnet.video import probe, read_frames
from node_classes import colorize_video, node
from video_clips import ffmpeg, raw_pictures


def test_colorize_video_keeps_the_luma_plane(clip, model):
    video = VideoFromFile(clip)
    colored = colorize_video(model, video, 5.0, format="ffv1")
    planes = []
    for path in (clip, colored.get_stream_source()):
        planes.append(raw_pictures(path).reshape(25, -1)[:, : 96 * 64])
    assert np.array_equal(*planes)


def test_several_films_and_settings_come_out_one_by_one(clip, model):
    video = VideoFromFile(clip)
    lists = {"model": [model], "video": [video, video], "render_size": [-1], "strength": [1.0, 0.0]}
    lists |= {"saturation": [3.0], "stability": [0.5], "format": ["ffv1"]}
    (films,) = node("ColorizeVideo").execute(**lists).args
    spread = [
        np.ptp(np.concatenate(list(read_frames(film.get_stream_source()))), axis=-1).mean()
        for film in films
    ]
    assert 1 < spread[0] < 50 < spread[1]  # the clip is in colour, and 0 leaves it so


def test_the_preview_of_a_film_is_large_enough_to_judge(folders, model):
    path = folders / "input" / "wide.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "smptehdbars=size=960x540:rate=25", "-vf", "hue=s=0"),
        *("-frames:v", "40", "-c:v", "ffv1", path),
    )
    heard = []
    colorize_film(
        path,
        folders / "film.mkv",
        model.network,
        on_progress=lambda done, total, preview: heard.append((done, total, preview())),
    )
    assert heard[-1][:2] == (40, 40)
    assert {preview.shape for *_, preview in heard} == {(216, 384, 3)}
    rgb = torch.from_numpy(next(read_frames(path, size=(384, 216), batch_size=1))).float() / 255
    luma = [rgb_to_luma(x[None].permute(0, 3, 1, 2)) for x in (rgb[0], heard[0][2])]
    assert (luma[0] - luma[1]).abs().mean() < 0.01


@pytest.mark.parametrize(("format", "kept"), [("av1", 1), ("vp9", 0), ("ffv1", 0)])
def test_subtitles_that_save_video_cannot_copy_are_left_out(folders, model, caplog, format, kept):
    (folders / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n")
    path = folders / "input" / "words.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25", "-i", folders / "words.srt",
           "-frames:v", "10", path)  # fmt: skip
    video = colorize_video(model, VideoFromFile(path), format=format)
    assert len(probe(video.get_stream_source()).subtitles) == kept
    assert ("subtitles" in caplog.text) != kept


def test_colorize_video_offers_what_save_video_can_copy_into_mp4():
    offered = next(
        socket.options
        for socket in node("ColorizeVideo").GET_SCHEMA().inputs
        if socket.id == "format"
    )
    assert offered == ["h264", "hevc", "av1", "vp9", "ffv1"]


@pytest.mark.parametrize("compare", ["half", "wipe"])
def test_a_film_shows_what_was_before_beside_what_is_now(clip, model, compare):
    film = colorize_video(model, VideoFromFile(clip), 3.0, format="ffv1", compare=compare)
    frames = np.concatenate(list(read_frames(film.get_stream_source()))).astype(int)
    spread = np.ptp(frames, axis=-1)
    half = spread.shape[2] // 2
    if compare == "half":
        assert spread[:, :, : half - 2].max() <= 2 and spread[:, :, half + 2 :].max() > 5
    else:
        coloured = (spread.max(1) > 3).mean(1)  # of the columns
        assert coloured[0] == 0 and coloured[-1] > 0.5 and coloured[0] < coloured[12] < 0.8
