"""The nodes on the stand-in host: clips in and out, films, teaching, shots."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from colorizationnet.headless import cli
from colorizationnet.headless.keyframes import read_keyframes
from colorizationnet.headless.standin.clip import VideoFromFile
from colorizationnet.headless.standin.host import StandInHost, TerminalProgress
from colorizationnet.host import current, use
from colorizationnet.model import (
    ColorizationNet,
    load_model,
    rgb_to_chroma,
    rgb_to_luma,
    save_model,
)
from colorizationnet.model.temporal import KeyframePicker, mark_shots
from colorizationnet.nodes import NODES
from colorizationnet.options import ShotOptions
from colorizationnet.pipeline import colorize_film, find_shots
from colorizationnet.video import probe, read_frames, read_luma
from PIL import Image
from video_clips import ffmpeg, raw_pictures

BY_ID = {node.GET_SCHEMA().node_id: node for node in NODES}


def node(name):
    return BY_ID[f"ColorizationNet{name}"]


@pytest.fixture(autouse=True)
def folders(tmp_path):
    for name in ("input", "output", "models"):
        (tmp_path / name).mkdir()
    with use(StandInHost(tmp_path / "input", tmp_path / "output", tmp_path / "models")):
        yield tmp_path


@pytest.fixture
def clip(folders):
    """25 frames at 30000/1001 with a tone, two scenes of 13 and 12 frames."""
    path = folders / "input" / "clip.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=30000/1001:duration=0.43"),
        *("-f", "lavfi", "-i", "mandelbrot=size=96x64:rate=30000/1001"),
        *("-f", "lavfi", "-i", "sine=sample_rate=48000"),
        *("-filter_complex", "[0]trim=end_frame=13[a];[1]trim=end_frame=12[b];[a][b]concat"),
        *("-t", "0.834", "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", path),
    )
    return path


@pytest.fixture
def model(folders):
    save_model(ColorizationNet(), folders / "models" / "own.safetensors", {"render_size": "24"})
    return node("LoadModel").execute("own.safetensors", "fp32")[0]


def test_node_ids_and_tooltips():
    assert {
        "ColorizationNetLoadModel",
        "ColorizationNetColorizeImages",
        "ColorizationNetLoadVideo",
        "ColorizationNetSaveVideo",
        "ColorizationNetColorizeVideo",
        "ColorizationNetTeach",
        "ColorizationNetShotKeyframes",
        "ColorizationNetLoadKeyframes",
        "ColorizationNetColorizeFolder",
        "ColorizationNetStabilizeColors",
    } == set(BY_ID)
    for found in NODES:
        for socket in found.GET_SCHEMA().inputs:
            assert socket.tooltip, f"{found.GET_SCHEMA().node_id}.{socket.id}"


def test_the_shipped_weights_come_first():
    options = node("LoadModel").define_schema().inputs[0].options
    assert options[0] == "colorizationnet.safetensors"


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
    assert probe(current().temp_folder() / shown[0]["filename"]).codec == "h264"
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


def test_colorize_images_keeps_luma(model):
    images = torch.rand(2, 40, 56, 3)
    (colored,) = node("ColorizeImages").execute(model, images, -1, 1.0, 3.0).args
    assert colored.shape == images.shape and not torch.allclose(colored, images)
    luma = [rgb_to_luma(x.permute(0, 3, 1, 2)) for x in (colored, images)]
    assert (luma[0] - luma[1]).abs().max() < 1e-5


def colorize_video(model, video, saturation=1.0, **given):
    """The film that Colorize Video makes of one; its inputs come as lists."""
    given = {"model": model, "video": video, "render_size": -1, "strength": 1.0} | given
    given |= {"saturation": saturation, "stability": 0.5}
    lists = {name: [value] for name, value in given.items()}
    ((colored,),) = node("ColorizeVideo").execute(**lists).args
    return colored


def test_colorize_video_keeps_the_luma_plane(clip, model):
    video = VideoFromFile(clip)
    colored = colorize_video(model, video, 5.0, format="ffv1")
    planes = []
    for path in (clip, colored.get_stream_source()):
        planes.append(raw_pictures(path).reshape(25, -1)[:, : 96 * 64])
    assert np.array_equal(*planes)


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
        path = current().temp_folder() / picture["subfolder"] / picture["filename"]
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
    shots, pictures = read_keyframes(target)
    assert shots == find_shots(clip)
    images, _ = node("ShotKeyframes").execute(VideoFromFile(clip), 1, 0.5).args
    assert (pictures - images).abs().max() < 1e-6


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


def test_a_taught_model_is_kept_and_listed(model):
    reference = torch.rand(1, 24, 32, 3)
    taught = node("Teach").execute(model, reference, False, 3, filename="shot").args[0]
    assert "shot.safetensors" in current().model_names()
    kept = load_model(current().model_path("shot.safetensors"))
    assert torch.equal(kept.conv4.weight, taught.network.conv4.weight.cpu())
    assert kept.metadata["base"] == "own.safetensors"
    # The same again is no conflict, something else under the same name is.
    node("Teach").execute(model, reference, False, 3, filename="shot")
    with pytest.raises(FileExistsError, match="shot.safetensors"):
        node("Teach").execute(model, reference.flip(2), False, 3, filename="shot")


def test_a_changed_mask_under_a_kept_name_is_a_conflict(model):
    reference, mask = torch.rand(1, 24, 32, 3), torch.ones(1, 24, 32)
    teach = node("Teach").execute
    teach(model, reference, False, 2, mask=mask, filename="shot")
    teach(model, reference, False, 2, mask=mask, filename="shot")
    other = mask.clone()
    other[:, :12] = 0
    for changed in ({"mask": other}, {"mask": None}):
        with pytest.raises(FileExistsError, match="shot.safetensors"):
            teach(model, reference, False, 2, filename="shot", **changed)
    with pytest.raises(FileExistsError, match="shot.safetensors"):
        teach(model, reference, True, 2, mask=mask, filename="shot")


def test_the_name_of_the_shipped_weights_cannot_be_taken(model):
    for name in ("colorizationnet", "ColorizationNet.safetensors"):
        with pytest.raises(ValueError, match="shipped weights"):
            node("Teach").execute(model, torch.rand(1, 24, 32, 3), False, 2, filename=name)


@pytest.mark.parametrize("strokes", [False, True])
def test_masks_that_cannot_be_meant_are_refused(model, strokes):
    reference = torch.rand(1, 24, 32, 3)
    for mask, sentence in (
        (torch.zeros(1, 64, 64), r"mask \(64x64\) is empty.*unlink"),
        (torch.ones(1, 64, 64), "mask is 64x64 and the references are 32x24; unlink"),
    ):
        with pytest.raises(ValueError, match=sentence):
            node("Teach").execute(model, reference, strokes, 2, mask=mask)


def test_teaching_is_reason_enough_to_run():
    schema = node("Teach").GET_SCHEMA()
    assert schema.is_output_node
    assert [hidden.name for hidden in schema.hidden] == ["prompt", "extra_pnginfo"]


def test_a_taught_model_stays_in_the_models_folder(model):
    with pytest.raises(ValueError, match="plain file name"):
        node("Teach").execute(model, torch.rand(1, 24, 32, 3), False, 3, filename="../shot")


def test_the_host_makes_room_for_the_size_that_is_asked_for(model, monkeypatch):
    asked = []
    load = StandInHost.load_to_device

    def record(host, handle, memory_required=0):
        asked.append(memory_required)
        return load(host, handle, memory_required)

    monkeypatch.setattr(StandInHost, "load_to_device", record)
    for size, quality in ((24, "full"), (24, "best"), (0, "full")):
        node("ColorizeImages").execute(
            model, torch.rand(1, 240, 320, 3), size, 1.0, 1.0, quality=quality
        )
    assert asked[0] < asked[1] < asked[2]


def test_the_vivid_look_has_more_colour_than_the_natural_one(model):
    images = torch.rand(1, 60, 80, 1).expand(1, 60, 80, 3)
    looks = {}
    for look in ("natural", "vivid"):
        colored = node("ColorizeImages").execute(model, images, -1, 1.0, 1.0, look=look)[0]
        looks[look] = rgb_to_chroma(colored.permute(0, 3, 1, 2)).norm(dim=1).mean()
    assert looks["vivid"] > 1.05 * looks["natural"] > 0


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


def test_a_folder_of_photos_comes_out_under_the_same_names_and_goes_on(folders, model):
    album = folders / "input" / "album"
    album.mkdir()
    for number, size in enumerate([(40, 30), (30, 50), (64, 64)]):
        ramp = np.tile(np.linspace(0, 255, size[0], dtype=np.uint8), (size[1], 1))
        Image.fromarray(ramp).save(album / f"photo {number}.png")
    (album / "torn.png").write_bytes(b"no picture")
    inputs = {"folder": "album", "output_folder": "coloured/album", "render_size": -1}
    inputs |= {"strength": 1.0, "saturation": 5.0}
    shown = node("ColorizeFolder").execute(model, **inputs).ui.as_dict()["images"]
    result = folders / "output" / "coloured" / "album"
    assert [picture["filename"] for picture in shown] == [f"photo {n}.png" for n in range(3)]
    assert sorted(path.name for path in result.iterdir()) == [f"photo {n}.png" for n in range(3)]
    for path in result.iterdir():
        with Image.open(path) as after, Image.open(album / path.name) as before:
            assert after.size == before.size
            assert np.ptp(np.asarray(after.convert("RGB")).astype(int), axis=-1).max() > 5
    first = {path.name: path.stat().st_mtime_ns for path in result.iterdir()}
    Image.new("L", (9, 9), 99).save(album / "new.png")
    node("ColorizeFolder").execute(model, **inputs)
    second = {path.name: path.stat().st_mtime_ns for path in result.iterdir()}
    assert second.pop("new.png") and second == first
    with pytest.raises(ValueError, match="among the photos"):
        node("ColorizeFolder").execute(model, **inputs | {"folder": "coloured/album [output]"})
    with pytest.raises(ValueError, match="leads outside the output folder"):
        node("ColorizeFolder").execute(model, **inputs | {"output_folder": "../elsewhere"})


def test_an_album_is_looked_at_again_when_a_result_is_deleted(folders, model):
    """ComfyUI runs a node again only when its fingerprint has changed."""
    album = folders / "input" / "album"
    album.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("L", (9, 9), 99).save(album / name)
    (album / "torn.png").write_bytes(b"no picture")
    folder = {"folder": "album", "output_folder": "coloured"}
    inputs = folder | {"render_size": -1, "strength": 1.0, "saturation": 1.0}
    album_node = node("ColorizeFolder")
    album_node.execute(model, **inputs)
    done = album_node.fingerprint_inputs(**inputs)
    assert album_node.fingerprint_inputs(**inputs) == done
    (folders / "output" / "coloured" / "a.png").unlink()
    assert album_node.fingerprint_inputs(**inputs) != done
    album_node.execute(model, **inputs)
    assert (folders / "output" / "coloured" / "a.png").is_file()
    assert album_node.fingerprint_inputs(**inputs) == done


def test_what_a_photo_of_an_album_is_called_goes_by_no_others_fate(folders, model):
    album = folders / "input" / "album"
    album.mkdir()
    (album / "a.gif").write_bytes(b"torn")
    for name in ("a.png", "b.gif"):
        Image.new("L", (9, 9), 99).save(album / name)
    Image.new("L", (9, 9), 99).save(album / "c.tif")
    inputs = {"folder": "album", "output_folder": "coloured", "render_size": -1}
    inputs |= {"strength": 1.0, "saturation": 1.0}
    result = folders / "output" / "coloured"
    node("ColorizeFolder").execute(model, **inputs)
    assert sorted(path.name for path in result.iterdir()) == ["a.png", "b.png", "c.tif"]
    before = (result / "a.png").stat().st_mtime_ns
    Image.new("L", (9, 9), 99).save(album / "a.gif")
    node("ColorizeFolder").execute(model, **inputs)
    names = ["a.gif.png", "a.png", "b.png", "c.tif"]
    assert sorted(path.name for path in result.iterdir()) == names
    assert (result / "a.png").stat().st_mtime_ns == before


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


@pytest.mark.parametrize("name", ["ColorizeImages", "ColorizeVideo", "ColorizeFolder"])
def test_a_saturation_beyond_the_slider_is_taken(folders, name):
    (folders / "input" / "album").mkdir()
    Image.new("L", (9, 9)).save(folders / "input" / "album" / "a.png")
    inputs = {"folder": "album"} if name == "ColorizeFolder" else {}
    for value in (10.0, [10.0], None, [None]):
        assert node(name).validate_inputs(**inputs, saturation=value) is True
    for value in (11.0, [-1.0], float("nan")):
        verdict = node(name).validate_inputs(**inputs, saturation=value)
        assert "choose a value from 0 to 10" in verdict


def test_the_loader_tells_what_its_widgets_zeros_stand_for(clip):
    assert node("LoadVideo").describe("clip.mkv") == {
        "frame_count": 25,
        "rate": 29.97,
        "short_side": 64,
    }
    with pytest.raises(FileNotFoundError):
        node("LoadVideo").describe("gone.mkv")
