"""The nodes on the embedded host: clips in and out, films, teaching, shots."""

import subprocess
from fractions import Fraction

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from colorizationnet.host import embedded
from colorizationnet.model import (
    ColorizationNet,
    load_model,
    rgb_to_chroma,
    rgb_to_luma,
    save_model,
)
from colorizationnet.nodes import NODES
from colorizationnet.video import probe, read_frames

BY_ID = {node.GET_SCHEMA().node_id: node for node in NODES}


def node(name):
    return BY_ID[f"ColorizationNet{name}"]


def ffmpeg(*arguments):
    exe = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([exe, "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name in ("input", "output", "models"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(embedded.settings, name, tmp_path / name)
    return tmp_path


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
        "ColorizationNetStabilizeColors",
    } == set(BY_ID)
    for found in NODES:
        for socket in found.GET_SCHEMA().inputs:
            assert socket.tooltip, f"{found.GET_SCHEMA().node_id}.{socket.id}"


def test_the_shipped_weights_come_first():
    options = node("LoadModel").define_schema().inputs[0].options
    assert options[0] == "colorizationnet.safetensors"


def test_load_splits_and_save_reassembles(clip):
    frames, audio, fps, count = node("LoadVideo").execute(clip.name, 0, 0, 1, 10)
    assert [len(batch) for batch in frames] == [10, 10, 5] and count == 25
    assert Fraction(fps).limit_denominator(1001) == Fraction(30000, 1001)
    assert audio["sample_rate"] == 48000

    node("SaveVideo").execute(frames, [fps], ["clip"], ["ffv1"], [audio])
    saved = probe(embedded.settings.output / "clip_00001_.mkv")
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
    frames, _, fps, count = node("LoadVideo").execute(clip.name, 3, 5, 2, 2)
    assert count == 5 and torch.equal(torch.cat(frames), whole[3:13:2])
    assert fps == pytest.approx(30000 / 1001 / 2)


def test_load_refuses_what_does_not_fit_in_memory(clip, monkeypatch):
    monkeypatch.setattr("colorizationnet.host.free_memory", lambda _: 1000)
    with pytest.raises(ValueError, match="Colorize Video"):
        node("LoadVideo").execute(clip.name, 0, 0, 1, 16)


def test_a_format_that_no_browser_plays_is_shown_by_a_proxy(clip):
    frames, _, fps, _ = node("LoadVideo").execute(clip.name, 0, 4, 1, 4)
    shown = node("SaveVideo").execute(frames, [fps], ["clip"], ["prores"]).ui.as_dict()["images"]
    assert [file["type"] for file in shown] == ["temp", "output"]
    assert probe(embedded.temp_folder() / shown[0]["filename"]).codec == "h264"
    assert probe(embedded.settings.output / "clip_00001_.mov").codec == "prores"


def test_nothing_is_overwritten(clip):
    frames, _, fps, _ = node("LoadVideo").execute(clip.name, 0, 2, 1, 2)
    for number in (1, 2):
        node("SaveVideo").execute(frames, [fps], ["clip"], ["h264"])
        assert (embedded.settings.output / f"clip_0000{number}_.mp4").is_file()


def test_batches_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="more than one size"):
        node("SaveVideo").execute(
            [torch.zeros(1, 8, 8, 3), torch.zeros(1, 8, 9, 3)], [24.0], ["clip"], ["h264"]
        )
    assert not list(embedded.settings.output.iterdir())


def test_colorize_images_keeps_luma(model):
    images = torch.rand(2, 40, 56, 3)
    (colored,) = node("ColorizeImages").execute(model, images, -1, 1.0, 3.0).args
    assert colored.shape == images.shape and not torch.allclose(colored, images)
    luma = [rgb_to_luma(x.permute(0, 3, 1, 2)) for x in (colored, images)]
    assert (luma[0] - luma[1]).abs().max() < 1e-5


def test_colorize_video_keeps_the_luma_plane(clip, model):
    video = embedded.video_from_file(clip)
    (colored,) = node("ColorizeVideo").execute(
        model, video, -1, 1.0, 5.0, 0.5, format="ffv1"
    ).args
    planes = []
    for path in (clip, colored.get_stream_source()):
        exe = imageio_ffmpeg.get_ffmpeg_exe()
        command = [exe, "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
        raw = np.frombuffer(subprocess.run(command, capture_output=True).stdout, np.uint8)
        planes.append(raw.reshape(25, -1)[:, : 96 * 64])
    assert np.array_equal(*planes)


def test_shots_are_coloured_by_their_own_keyframes(clip, model):
    """Red keyframes for one shot, blue ones for the other: the film follows at the cut."""
    video = embedded.video_from_file(clip)
    keyframes, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    assert [shot.first for shot in shots] == [0, 13] and len(keyframes) == 2
    for frame, channel in zip(keyframes, (0, 2), strict=True):
        tint = torch.zeros(3)
        tint[channel] = 0.4
        frame.copy_(frame.mean(-1, keepdim=True) * 0.5 + tint)
    given = {"keyframes": keyframes, "shots": shots, "teach_steps": 60}
    (colored,) = node("ColorizeVideo").execute(
        model, video, -1, 1.0, 1.0, 0.5, format="ffv1", **given
    ).args
    frames = np.concatenate(list(read_frames(colored.get_stream_source()))).astype(float)
    redness = (frames[..., 0] - frames[..., 2]).mean((1, 2))
    assert (redness[:13] > 5).all() and (redness[13:] < -5).all()


def test_keyframes_must_be_as_many_as_the_shots_ask_for(clip, model):
    video = embedded.video_from_file(clip)
    keyframes, shots = node("ShotKeyframes").execute(video, 1, 0.5).args
    with pytest.raises(ValueError, match="1 coloured keyframes for 2"):
        node("ColorizeVideo").execute(
            model, video, -1, 1.0, 1.0, 0.5, keyframes=keyframes[:1], shots=shots
        )


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
    assert "shot.safetensors" in embedded.model_names()
    kept = load_model(embedded.model_path("shot.safetensors"))
    assert torch.equal(kept.conv4.weight, taught.network().conv4.weight.cpu())
    assert kept.metadata["base"] == "own.safetensors"
    # The same again is no conflict, something else under the same name is.
    node("Teach").execute(model, reference, False, 3, filename="shot")
    with pytest.raises(FileExistsError, match="shot.safetensors"):
        node("Teach").execute(model, reference.flip(2), False, 3, filename="shot")


def test_a_taught_model_stays_in_the_models_folder(model):
    with pytest.raises(ValueError, match="plain file name"):
        node("Teach").execute(model, torch.rand(1, 24, 32, 3), False, 3, filename="../shot")
