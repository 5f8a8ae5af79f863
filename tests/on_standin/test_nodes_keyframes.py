"""Shots and their keyframes through the nodes on the stand-in host."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from colorizationnet.headless import cli
from colorizationnet.headless.references import read_references
from colorizationnet.headless.standin.clip import VideoFromFile
from colorizationnet.headless.standin.host import StandInHost, TerminalProgress
from colorizationnet.host import current
from colorizationnet.model.temporal import KeyframePicker, mark_shots
from colorizationnet.options import ShotOptions
from colorizationnet.pipeline import find_shots
from colorizationnet.video import probe, read_frames, read_luma
from node_classes import colorize_video, node
from PIL import Image
from video_clips import ffmpeg


def test_shots_are_coloured_by_their_own_keyframes(clip, model, monkeypatch):
    """Red keyframes for one shot, blue ones for the other: the film follows at the cut."""
    told = []
    monkeypatch.setattr(TerminalProgress, "tell", lambda _, text: told.append(text))
    video = VideoFromFile(clip)
    keyframes, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    assert [shot.first for shot in shots.shots] == [0, 13] and len(keyframes) == 2
    for frame, channel in zip(keyframes, (0, 2), strict=True):
        frame.copy_(tinted(frame, channel))
    given = {"keyframes": keyframes, "shots": shots, "teach_steps": 60}
    colored = colorize_video(model, video, format="ffv1", **given)
    frames = np.concatenate(list(read_frames(colored.get_stream_source()))).astype(float)
    redness = (frames[..., 0] - frames[..., 2]).mean((1, 2))
    assert (redness[:13] > 5).all() and (redness[13:] < -5).all()
    work = [f"shot {n} of 2: {what}" for n in (1, 2) for what in ("teaching", "colouring")]
    assert told[:-1] == work and "% of its colours known from keyframes; they may be" in told[-1]


def test_shot_keyframes_shows_what_it_picked(clip, folders):
    output = node("ShotKeyframes").execute(VideoFromFile(clip), 1, 0.5)
    shown = output.ui.as_dict()["images"]
    names = [picture["filename"] for picture in shown]
    assert [name.split("s_")[0].rsplit(".", 1)[0] for name in names] == [
        "shot 001 at 0m00",
        "shot 002 at 0m00",
    ]
    for picture, keyframe in zip(shown, output[0], strict=True):
        assert picture["type"] == "temp"
        path = current().input_path(f"{picture['filename']} [temp]")
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image), keyframe.mul(255).round().byte().numpy())


def test_keyframes_come_back_by_the_numbers_in_their_names(folders):
    keys = folders / "output" / "keys"
    keys.mkdir(parents=True)
    for number in (10, 2, 1):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(keys / f"frame_{number}_.png")
    load = node("LoadKeyframes")
    assert load.validate_inputs("keys [output]") is True
    (images,) = load.execute("keys [output]").args
    assert images.shape == (3, 4, 6, 3)
    assert images[:, 0, 0, 0].mul(255).round().tolist() == [1, 2, 10]
    before = load.fingerprint_inputs("keys [output]")
    Image.new("RGB", (7, 4)).save(keys / "frame_3_.png")
    assert load.fingerprint_inputs("keys [output]") != before
    with pytest.raises(ValueError, match="frame_3_.png is 7x4 and frame_1_.png is 6x4"):
        load.execute("keys [output]")
    assert "no picture in the folder 'keys' of the input folder" in load.validate_inputs("keys")
    assert "leads outside the output folder" in load.validate_inputs("../keys [output]")


def test_more_keyframes_than_shots_are_refused(clip, model):
    video = VideoFromFile(clip)
    keyframes, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    keyframes = torch.cat([keyframes, keyframes[:1]])
    with pytest.raises(ValueError, match="3 coloured keyframes for 2"):
        colorize_video(model, video, keyframes=keyframes, shots=shots)


def red_and_blue(frames):
    """How much redder than blue each frame of a clip is."""
    frames = np.concatenate(list(read_frames(frames.get_stream_source()))).astype(float)
    return (frames[..., 0] - frames[..., 2]).mean((1, 2))


def test_one_shots_keyframe_is_painted_by_itself(clip, model):
    """Shot Keyframes gives that of the second shot alone; the first is left to the network."""
    video = VideoFromFile(clip)
    keyframe, shots = node("ShotKeyframes").execute(video, 1, 0.5, 2).args
    whole, _ = node("ShotKeyframes").execute(video, 1, 0.5).args
    assert torch.equal(keyframe, whole[1:]) and len(shots.keyframes) == 2
    given = {"keyframes": tinted(keyframe), "shots": shots, "teach_steps": 60}
    redness = red_and_blue(colorize_video(model, video, format="ffv1", **given))
    alone = red_and_blue(colorize_video(model, video, format="ffv1"))
    assert (redness[13:] > 5).all() and np.abs(redness[:13] - alone[:13]).max() < 1
    with pytest.raises(ValueError, match="no shot 3: the clip has 2"):
        node("ShotKeyframes").execute(video, 1, 0.5, 3)


def test_keyframes_come_one_by_one_of_any_size_and_in_any_order(clip, model):
    video = VideoFromFile(clip)
    keyframes, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    red, blue = tinted(keyframes[:1], 0), tinted(keyframes[1:], 2)
    red = torch.nn.functional.interpolate(red.movedim(-1, 1), scale_factor=2).movedim(1, -1)
    lists = {"model": [model], "video": [video], "render_size": [-1], "strength": [1.0]}
    lists |= {"saturation": [1.0], "stability": [0.5], "format": ["ffv1"], "teach_steps": [60]}
    found = node("ColorizeVideo").execute(keyframes=[blue, red], shots=[shots], **lists)
    redness = red_and_blue(found.args[0][0])
    assert (redness[:13] > 5).all() and (redness[13:] < -5).all()


def test_a_picture_of_something_else_is_refused(clip, model):
    video = VideoFromFile(clip)
    _, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    other = torch.rand(1, 64, 96, 3).round()
    with pytest.raises(ValueError, match="keyframe 1 looks like none"):
        colorize_video(model, video, keyframes=other, shots=shots)


def test_strokes_on_a_keyframe_teach_and_its_grey_does_not(clip, model):
    video = VideoFromFile(clip)
    keyframe, shots = node("ShotKeyframes").execute(video, 1, 0.5, 1).args
    painted = keyframe.mean(-1, keepdim=True).repeat(1, 1, 1, 3)
    painted[:, 8:56:8] = tinted(keyframe)[:, 8:56:8]
    given = {"keyframes": painted, "shots": shots, "teach_steps": 60, "format": "ffv1"}
    redness = [
        red_and_blue(colorize_video(model, video, strokes=strokes, **given))[:13].mean()
        for strokes in (True, False)
    ]
    assert redness[0] > 2 * max(redness[1], 1)


def tinted(keyframes, channel=0):
    tint = torch.zeros(3)
    tint[channel] = 0.4
    return keyframes.mean(-1, keepdim=True) * 0.5 + tint


def test_a_shot_with_grey_keyframes_stays_grey(clip, model):
    video = VideoFromFile(clip)
    keyframes, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    keyframes = tinted(keyframes)
    keyframes[1] = keyframes[1].mean(-1, keepdim=True)
    given = {"keyframes": keyframes, "shots": shots, "teach_steps": 20}
    colored = colorize_video(model, video, format="ffv1", **given)
    frames = np.concatenate(list(read_frames(colored.get_stream_source()))).astype(float)
    spread = np.ptp(frames, axis=-1).mean((1, 2))
    assert (spread[:13] > 2).all() and (spread[13:] == 0).all()


def test_keyframes_without_any_colour_are_refused(clip, model):
    video = VideoFromFile(clip)
    keyframes, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    grey = keyframes.mean(-1, keepdim=True).expand(-1, -1, -1, 3)
    with pytest.raises(ValueError, match="None of the keyframes has any colour"):
        colorize_video(model, video, keyframes=grey, shots=shots)


def test_shots_of_another_clip_are_refused(clip, model):
    video = VideoFromFile(clip)
    keyframes, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    assert (shots.width, shots.height, shots.frame_count) == (96, 64, 25)
    for pictures, wrong, sentence in (
        (keyframes[:, :, 4:], shots, "92x64 and the clip 96x64, another aspect ratio"),
        (keyframes, replace(shots, frame_count=24), "clip.mkv has 25 frames .* with 24"),
    ):
        with pytest.raises(ValueError, match=sentence):
            colorize_video(model, video, keyframes=tinted(pictures), shots=wrong)


def test_keyframes_that_do_not_fit_in_memory_are_refused(clip, monkeypatch):
    monkeypatch.setattr(StandInHost, "free_memory", lambda *_: 2 * 96 * 64 * 3 * 4 - 1)
    with pytest.raises(ValueError, match="2 keyframes of 96x64"):
        node("ShotKeyframes").execute(VideoFromFile(clip), 1, 0.5)


def test_finding_shots_and_keyframes_heeds_a_cancel_at_every_frame(clip, monkeypatch):
    calls = []
    monkeypatch.setattr(StandInHost, "check_cancelled", lambda _: calls.append(1))
    node("ShotKeyframes").execute(VideoFromFile(clip), 1, 0.5)
    assert len(calls) >= 25 + 2


@pytest.mark.parametrize("sensitivity", [0.5, 1.0])
def test_shots_found_in_a_stream_are_those_of_the_whole(folders, sensitivity):
    """Scenes of many lengths, some shorter than a shot may be, also at the end."""
    lengths = [20, 5, 9, 30, 8, 14, 3]
    path = folders / "input" / "scenes.mkv"
    kinds = (
        "testsrc2=",
        "mandelbrot=",
        "life=mold=10:",
        "smptebars=",
        "testsrc=",
        "yuvtestsrc=",
        "rgbtestsrc=",
    )
    inputs = [x for kind in kinds for x in ("-f", "lavfi", "-i", f"{kind}size=96x64:rate=25")]
    cut = ";".join(
        f"[{i}]trim=end_frame={n},format=yuv420p,setsar=1[s{i}]" for i, n in enumerate(lengths)
    )
    joined = "".join(f"[s{i}]" for i in range(len(lengths)))
    ffmpeg(*inputs, "-filter_complex", f"{cut};{joined}concat=n={len(lengths)}",
           "-c:v", "ffv1", path)  # fmt: skip
    found = find_shots(path, ShotOptions(2, sensitivity))

    luma = np.concatenate(list(read_luma(path, size=(72, 48)))).astype(np.float32) / 255
    looks = torch.from_numpy(luma)[:, None]
    firsts = [i for i, (begins, _) in enumerate(mark_shots(looks, sensitivity)) if begins or not i]
    assert len(firsts) >= 4 and [shot.first for shot in found.shots] == firsts
    for shot, end in zip(found.shots, [*firsts[1:], len(looks)], strict=True):
        picker = KeyframePicker()
        picker(looks[shot.first : end])
        assert shot.keyframes == tuple(shot.first + frame for frame in picker.pick(2))


@pytest.mark.parametrize("length", [12, 40])
def test_a_dissolve_begins_a_shot(folders, length):
    path = folders / "input" / "dissolve.mkv"
    sources = [x for kind in ("testsrc2", "smptebars") for x in
               ("-f", "lavfi", "-i", f"{kind}=size=96x64:rate=25:duration=4")]  # fmt: skip
    fade = f"xfade=transition=fade:duration={length / 25}:offset=2"
    ffmpeg(*sources, "-filter_complex", fade, "-pix_fmt", "gray", "-c:v", "ffv1", path)
    first, second = find_shots(path).shots
    assert first.first == 0 and 50 <= second.first < 50 + length
    assert not any(50 <= shot.keyframes[0] < 50 + length for shot in (first, second))


def test_the_command_line_keeps_what_the_shots_are_of(clip, folders):
    target = folders / "keyframes"
    assert cli.main(["keyframes", str(clip), "-o", str(target)]) == 0
    shots, pictures = read_references(target, probe(clip), probe(clip).frames())
    assert shots == find_shots(clip)
    images, _ = node("ShotKeyframes").execute(VideoFromFile(clip), 1, 0.5).args
    assert (pictures - images).abs().max() < 1e-6


@pytest.mark.parametrize("hdr", ["smpte2084", "arib-std-b67"])
def test_shot_keyframes_takes_the_hdr_clips_that_colorize_video_keeps(folders, model, hdr):
    path = folders / "input" / "hdr.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25", "-frames:v", "12"),
        *("-vf", f"setparams=color_trc={hdr}:color_primaries=bt2020:colorspace=bt2020nc"),
        *("-pix_fmt", "yuv420p10le", "-c:v", "ffv1", path),
    )
    keyframes, shots = node("ShotKeyframes").execute(VideoFromFile(path), 1, 0.5).args
    assert keyframes.shape == (1, 64, 96, 3) and keyframes.std() > 0.1
    given = {"keyframes": tinted(keyframes), "shots": shots, "teach_steps": 3}
    video = colorize_video(model, VideoFromFile(path), **given)
    assert probe(video.get_stream_source()).color_trc == hdr
