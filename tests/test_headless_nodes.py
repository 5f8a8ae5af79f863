"""ComfyUI's own nodes on the stand-in: pixels, masks, names and metadata."""

import json
import re

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.headless.standin.graph import Graph
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.headless.standin.workflow import NodeError, WorkflowError
from colorizationnet.host import current, use
from colorizationnet.video import probe, read_frames
from PIL import Image
from video_clips import ffmpeg, frame_hashes, make_clip, make_variable, packets


@pytest.fixture(autouse=True)
def folders(tmp_path):
    (tmp_path / "input").mkdir()
    with use(StandInHost(tmp_path / "input", tmp_path / "output")):
        yield tmp_path


def run(prompt):
    return Graph(prompt, CORE_NODES, current()).run()


def execute(class_type, **inputs):
    """The outputs of one core node."""
    (node,) = [node for node in CORE_NODES if node.GET_SCHEMA().node_id == class_type]
    return node.execute(**inputs).args


def copy_photo(name="photo.png", prefix="copy"):
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def random_photo(folders, mode="RGB", size=(7, 5)):
    shape = (size[1], size[0], len(mode))
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(pixels.squeeze(), mode)
    image.save(folders / "input" / "photo.png")
    return pixels


def test_load_image_gives_pixels_and_an_empty_mask(folders):
    pixels = random_photo(folders)
    image, mask = execute("LoadImage", image="photo.png")
    assert image.dtype == torch.float32 and mask.shape == (1, 64, 64) and not mask.any()
    assert torch.equal(image[0], torch.from_numpy(pixels).float() / 255)


def test_load_image_turns_alpha_into_a_mask(folders):
    pixels = random_photo(folders, "RGBA")
    image, mask = execute("LoadImage", image="photo.png")
    assert image.shape == (1, 5, 7, 3)
    torch.testing.assert_close(mask[0], 1 - torch.from_numpy(pixels[..., 3]).float() / 255)


def test_load_image_turns_the_picture_upright(folders):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left
    Image.new("RGB", (40, 20)).save(folders / "input" / "photo.jpg", exif=exif)
    image, _ = execute("LoadImage", image="photo.jpg")
    assert image.shape == (1, 40, 20, 3)


def test_load_image_keeps_sixteen_bits(folders):
    grey = np.array([[0, 257, 40000, 65535]], dtype=np.uint16)
    Image.fromarray(grey).save(folders / "input" / "scan.png")
    image, _ = execute("LoadImage", image="scan.png")
    expected = torch.tensor([0, 257, 40000, 65535]) / 65535
    torch.testing.assert_close(image[0, 0, :, 1], expected)


def test_a_saved_photo_is_the_loaded_one(folders):
    pixels = random_photo(folders)
    prompt = copy_photo(prefix="sub/copy_%width%x%height%")
    shown = run(prompt)
    (saved,) = shown["2"]["images"]
    assert saved == {"filename": "copy_7x5_00001_.png", "subfolder": "sub", "type": "output"}
    with Image.open(folders / "output" / "sub" / saved["filename"]) as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert json.loads(image.text["prompt"]) == prompt


def test_saved_photos_are_counted_and_never_overwritten(folders):
    pages = [Image.new("RGB", (3, 2), color) for color in ("red", "blue")]
    pages[0].save(folders / "input" / "two.tif", save_all=True, append_images=pages[1:])
    (folders / "output").mkdir()
    taken = folders / "output" / "copy_00041_.png"
    taken.write_bytes(b"mine")
    (folders / "output" / "copy_of_00077_.png").touch()
    names = []
    for _ in range(2):
        shown = run(copy_photo("two.tif"))
        names += [image["filename"] for image in shown["2"]["images"]]
    assert names == [f"copy_000{number}_.png" for number in (42, 43, 44, 45)]
    assert taken.read_bytes() == b"mine"
    with Image.open(folders / "output" / names[3]) as image:
        assert image.getpixel((0, 0)) == (0, 0, 255)


def test_preview_image_writes_nothing(folders):
    random_photo(folders)
    prompt = copy_photo()
    prompt["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    assert run(prompt) == {}
    assert not (folders / "output").exists()


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "sub/../../secret.png"])
def test_inputs_stay_in_the_input_folder(folders, name):
    (folders / "secret.png").touch()
    with pytest.raises(
        WorkflowError, match="Node 1 .LoadImage.: .* leads outside the input folder"
    ):
        Graph(copy_photo(name), CORE_NODES, current())


def test_a_link_does_not_lead_out_of_the_input_folder(folders):
    (folders / "secret.png").touch()
    (folders / "input" / "link.png").symlink_to(folders / "secret.png")
    with pytest.raises(WorkflowError, match="leads outside the input folder"):
        Graph(copy_photo("link.png"), CORE_NODES, current())


def test_results_stay_in_the_output_folder(folders):
    random_photo(folders)
    with pytest.raises(NodeError, match="leads outside the output folder"):
        run(copy_photo(prefix="../copy"))
    assert sorted(path.name for path in folders.iterdir()) == ["input"]


def test_what_the_system_refuses_is_said_in_words(folders):
    random_photo(folders)
    (folders / "output").write_bytes(b"a file where the folder belongs")
    with pytest.raises(NodeError, match=r"Save Image\) failed: .*/output: File exists\.$"):
        run(copy_photo())


def test_a_missing_file_is_named(folders):
    with pytest.raises(WorkflowError, match="There is no file 'gone.png' in the input folder"):
        Graph(copy_photo("gone.png"), CORE_NODES, current())


def test_a_file_from_the_output_folder(folders):
    random_photo(folders)
    run(copy_photo())
    shown = run(copy_photo("copy_00001_.png [output]"))
    assert shown["2"]["images"][0]["filename"] == "copy_00002_.png"


def test_a_file_that_is_no_picture(folders):
    (folders / "input" / "photo.png").write_bytes(b"text")
    with pytest.raises(NodeError, match="photo.png is not a picture that can be read"):
        run(copy_photo())


@pytest.fixture
def clip(folders):
    return make_clip(
        folders / "input" / "clip.mp4",
        *("-c:v", "libx264", "-movflags", "use_metadata_tags"),
        *("-metadata", "title=A walk", "-metadata", "prompt=old"),
        sound="0.1*sin(2*PI*440*t)",
    )


def save_video(file="clip.mp4", prefix="film", **inputs):
    """The workflow, and the clip that it saves in the output folder."""
    prompt = {
        "1": {"class_type": "LoadVideo", "inputs": {"file": file}},
        "2": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["1", 0], "filename_prefix": prefix} | {"format": "auto"} | inputs,
        },
    }
    (saved,) = run(prompt)["2"]["images"]
    return prompt, current().output / saved["subfolder"] / saved["filename"]


def reencode(codec="h264", crf=23.0, format="auto", **more):
    """The inputs of a SaveVideo of ComfyUI 0.33 that encodes again."""
    inputs = {"codec": codec, "codec.encoding": "re-encode", "codec.encoding.crf": crf}
    inputs |= {f"codec.encoding.{key}": value for key, value in more.items()}
    return {"format": format} | {f"format.{key}": value for key, value in inputs.items()}


def written_prompt(path):
    tags = ffmpeg("-i", path, "-f", "ffmetadata", "-").decode()
    assert "\ntitle=A walk\n" in tags
    line = next(line for line in tags.replace("\\\n", "\n").splitlines() if "prompt=" in line)
    text = line.partition("=")[2]
    for character in "=;#\\":
        text = text.replace(f"\\{character}", character)
    return json.loads(text)


@pytest.mark.parametrize(
    "inputs",
    [
        {"codec": "auto"},
        {"codec": "h264"},
        {"codec": "h264", "codec.encoding": "auto"},
        {},
        {"format": "mp4", "format.codec": "h264", "codec": "av1"},
        {"format.codec": "h264", "format.codec.encoding": "auto", "format.codec.encoding.crf": 40},
    ],
)
def test_a_clip_is_saved_as_it_is_where_format_and_codec_allow(clip, inputs):
    prompt, path = save_video(prefix="video/%width%; \\ = #", **inputs)
    assert path.name == "64; \\ = #_00001_.mp4"
    for stream in ("0:v", "0:a"):
        assert packets(path, stream) == packets(clip, stream)
    assert written_prompt(path) == prompt


@pytest.mark.parametrize(
    "inputs",
    [
        reencode(crf=37),
        {"codec": "h264", "codec.encoding": "re-encode", "codec.encoding.crf": 37},
    ],
)
def test_a_crf_is_heeded_and_sound_and_times_are_kept(clip, inputs):
    prompt, path = save_video(**inputs)
    assert b"crf=37.0" in path.read_bytes()  # x264 writes its settings into the stream
    assert frame_hashes(path)[0] == frame_hashes(clip)[0]
    assert packets(path, "0:a")[1] == packets(clip, "0:a")[1]
    assert written_prompt(path) == prompt


def test_a_variable_rate_survives_encoding(folders):
    times = make_variable(folders / "input" / "clip.mp4", "-c:v", "libx264")
    _, path = save_video(**reencode())
    assert frame_hashes(path)[0] == times


def test_crf_0_of_av1_loses_nothing(folders):
    source = make_clip(folders / "input" / "clip.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p10le")
    _, path = save_video("clip.mkv", **reencode("av1", 0.0, "mkv"))
    assert (path.suffix, probe(path).codec) == (".mkv", "av1")
    assert frame_hashes(path)[1] == frame_hashes(source)[1]


@pytest.mark.parametrize(
    ("format", "codec", "saved"),
    [
        ("mp4", "auto", ("h264", "yuv420p", "aac")),
        ("mkv", "auto", ("ffv1", "bgr0", "pcm_s16le")),
        ("mkv", "h264", ("h264", "yuv420p", "pcm_s16le")),
        ("webm", "auto", ("av1", "yuv420p", "vorbis")),
        ("auto", "av1", ("av1", "yuv420p", "aac")),
    ],
)
def test_a_clip_of_another_kind_is_encoded_again(folders, format, codec, saved):
    clip = make_clip(
        folders / "input" / "clip.mkv",
        *("-c:v", "ffv1", "-pix_fmt", "bgr0", "-c:a", "pcm_s16le"),
        source="smptebars",
        sound="0.1*sin(2*PI*440*t)",
    )
    _, path = save_video("clip.mkv", **{"format": format, "format.codec": codec})
    assert path.suffix == {"auto": ".mp4"}.get(format, f".{format}")
    found = probe(path)
    assert (found.codec, found.pix_fmt, found.audio[0].codec) == saved
    # Coloured bars are what they were, but for their edges.
    before, after = (next(read_frames(path)).astype(int) for path in (clip, path))
    assert np.median(abs(after - before)) <= 2


@pytest.mark.parametrize("curve", ["smpte2084", "arib-std-b67"])
def test_hdr_stays_hdr(folders, curve):
    make_clip(
        folders / "input" / "clip.mp4",
        *("-c:v", "libx265", "-x265-params", "log-level=error", "-vf"),
        "format=yuv420p10le,"
        f"setparams=range=tv:colorspace=bt2020nc:color_primaries=bt2020:color_trc={curve}",
    )
    found = probe(save_video(**reencode())[1])
    assert (found.codec, found.bit_depth) == ("h264", 10)
    assert (found.color_primaries, found.color_matrix) == ("bt2020", "bt2020nc")
    assert found.color_trc == curve
    with pytest.raises(NodeError, match="colours are not converted to sRGB; set color_space to"):
        save_video(**reencode(color_space="sRGB"))


def test_a_color_space_tags_what_had_none(clip):
    found = probe(save_video(**reencode(color_space="HDR PQ"))[1])
    assert (found.color_trc, found.color_primaries, found.bit_depth) == ("smpte2084", "bt2020", 10)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"format": "webm", "codec": "h264"}, "WebM holds no H.264; set codec to auto or av1"),
        ({"format": "avi"}, "the input format is 'avi'; choose one of: auto, mp4, mkv, webm"),
        ({"format": "webm", "format.codec": "h264"}, "choose one of: auto, av1"),
        ({"codec": "hevc"}, "the input codec is 'hevc'; choose one of: auto, h264, av1"),
        (reencode(crf=52), "the input format.codec.encoding.crf is 52.0; choose a value from 0.0"),
        (
            {"codec": "h264", "codec.encoding": "re-encode"},
            "the input codec.encoding.crf is missing",
        ),
    ],
)
def test_what_save_video_cannot_do_is_refused(clip, inputs, words):
    with pytest.raises((NodeError, WorkflowError), match=re.escape(words)):
        save_video(**inputs)
    assert not list(current().output.glob("*"))


def test_odd_sizes_are_copied_but_not_encoded(folders):
    make_clip(
        folders / "input" / "clip.mp4",
        *("-c:v", "libx264", "-pix_fmt", "yuv444p", "-vf", "scale=63:47"),
    )
    assert probe(save_video()[1]).width == 63
    with pytest.raises(NodeError, match="is 63x47, and Save Video encodes even sizes only"):
        save_video(**reencode())
    assert len(list(current().output.iterdir())) == 1


def test_a_clip_that_the_container_cannot_hold_leaves_what_was_there(folders):
    make_clip(folders / "input" / "clip.avi", "-c:v", "huffyuv")
    target = folders / "output" / "film_00001_.mp4"
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(NodeError, match="clip.avi cannot be saved as .mp4: .*; choose another"):
        save_video("clip.avi")
    assert target.read_bytes() == b"mine" and list(target.parent.iterdir()) == [target]


def test_a_clip_that_is_none_leaves_nothing(folders, clip):
    clip.write_bytes(b"no video")
    with pytest.raises(NodeError, match="clip.mp4"):
        save_video()
    assert not (folders / "output").exists()


def test_a_name_that_looks_like_a_protocol_is_a_name(folders, clip):
    clip.rename(folders / "input" / "concat:clip.mp4")
    _, path = save_video("concat:clip.mp4")
    assert frame_hashes(path) == frame_hashes(folders / "input" / "concat:clip.mp4")


def test_only_clips_are_loaded(folders, clip):
    clip.rename(folders / "input" / "list.m3u8")
    with pytest.raises(WorkflowError, match="list.m3u8 is no clip by its suffix"):
        save_video("list.m3u8")
