"""A stand-in host with folders, a clip and a model of its own for each test."""

import pytest
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.host import use
from colorizationnet.model import ColorizationNet, save_model
from node_classes import node
from video_clips import ffmpeg


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
