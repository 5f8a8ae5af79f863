"""ComfyUI's own nodes on the embedded host: pixels, masks, names and metadata."""

import json
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.headless.standin.graph import Graph, NodeError, WorkflowError
from colorizationnet.headless.standin.host import settings
from PIL import Image


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "input", tmp_path / "input")
    monkeypatch.setattr(settings, "output", tmp_path / "output")
    (tmp_path / "input").mkdir()
    return tmp_path


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
    shown = Graph(prompt, CORE_NODES).run()
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
        shown = Graph(copy_photo("two.tif"), CORE_NODES).run()
        names += [image["filename"] for image in shown["2"]["images"]]
    assert names == [f"copy_000{number}_.png" for number in (42, 43, 44, 45)]
    assert taken.read_bytes() == b"mine"
    with Image.open(folders / "output" / names[3]) as image:
        assert image.getpixel((0, 0)) == (0, 0, 255)


def test_preview_image_writes_nothing(folders):
    random_photo(folders)
    prompt = copy_photo()
    prompt["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    assert Graph(prompt, CORE_NODES).run() == {}
    assert not (folders / "output").exists()


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "sub/../../secret.png"])
def test_inputs_stay_in_the_input_folder(folders, name):
    (folders / "secret.png").touch()
    with pytest.raises(
        WorkflowError, match="Node 1 .LoadImage.: .* leads outside the input folder"
    ):
        Graph(copy_photo(name), CORE_NODES)


def test_a_link_does_not_lead_out_of_the_input_folder(folders):
    (folders / "secret.png").touch()
    (folders / "input" / "link.png").symlink_to(folders / "secret.png")
    with pytest.raises(WorkflowError, match="leads outside the input folder"):
        Graph(copy_photo("link.png"), CORE_NODES)


def test_results_stay_in_the_output_folder(folders):
    random_photo(folders)
    with pytest.raises(NodeError, match="leads outside the output folder"):
        Graph(copy_photo(prefix="../copy"), CORE_NODES).run()
    assert sorted(path.name for path in folders.iterdir()) == ["input"]


def test_a_missing_file_is_named(folders):
    with pytest.raises(WorkflowError, match="There is no file 'gone.png' in the input folder"):
        Graph(copy_photo("gone.png"), CORE_NODES)


def test_a_file_from_the_output_folder(folders):
    random_photo(folders)
    Graph(copy_photo(), CORE_NODES).run()
    shown = Graph(copy_photo("copy_00001_.png [output]"), CORE_NODES).run()
    assert shown["2"]["images"][0]["filename"] == "copy_00002_.png"


def test_a_file_that_is_no_picture(folders):
    (folders / "input" / "photo.png").write_bytes(b"text")
    with pytest.raises(NodeError, match="photo.png is not a picture that can be read"):
        Graph(copy_photo(), CORE_NODES).run()


@pytest.fixture
def clip(folders):
    path = folders / "input" / "clip.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    command += ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1"]
    command += ["-f", "lavfi", "-i", "sine=440:duration=1", "-c:v", "libx264"]
    command += ["-metadata", "title=A walk", "-movflags", "use_metadata_tags"]
    command += ["-metadata", "prompt=old", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def copy_clip(codec="auto"):
    return {
        "1": {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}},
        "2": {
            "class_type": "SaveVideo",
            "inputs": {
                "video": ["1", 0],
                "filename_prefix": "video/%width%; \\ = #",
                "format": "auto",
                "codec": codec,
            },
        },
    }


def stream_hashes(path):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", "0"]
    command += ["-c", "copy", "-f", "streamhash", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("codec", ["auto", "h264"])
def test_a_saved_clip_is_not_encoded_again(folders, clip, codec):
    prompt = copy_clip(codec)
    shown = Graph(prompt, CORE_NODES).run()
    (saved,) = shown["2"]["images"]
    path = folders / "output" / saved["subfolder"] / saved["filename"]
    assert path.name == "64; \\ = #_00001_.mp4"
    assert stream_hashes(path) == stream_hashes(clip)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    command += ["-f", "ffmetadata", "-"]
    tags = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "\ntitle=A walk\n" in tags
    line = next(line for line in tags.replace("\\\n", "\n").splitlines() if "prompt=" in line)
    text = line.partition("=")[2]
    for character in "=;#\\":
        text = text.replace(f"\\{character}", character)
    assert json.loads(text) == prompt


def test_a_clip_of_another_codec_is_refused(folders, clip):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi"]
    command += ["-i", "testsrc2=size=64x48:duration=0.2", "-c:v", "mpeg4", str(clip)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with pytest.raises(NodeError, match="the clip is mpeg4 .* set codec to auto"):
        Graph(copy_clip("h264"), CORE_NODES).run()


def test_a_clip_that_is_none_leaves_nothing(folders, clip):
    clip.write_bytes(b"no video")
    with pytest.raises(NodeError, match="clip.mp4 is not a video that can be read"):
        Graph(copy_clip(), CORE_NODES).run()
    assert not (folders / "output").exists()
