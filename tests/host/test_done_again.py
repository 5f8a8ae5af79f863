"""What a real ComfyUI does a second time, and what it keeps of what was there before."""

import json

from colorizationnet.headless.server import Server
from colorizationnet.video import read_tags
from PIL import Image
from test_film import COLORIZE_VIDEO
from video_clips import make_clip

LOADER = COLORIZE_VIDEO["2"]
ALBUM = {
    "1": LOADER,
    "2": {
        "class_type": "ColorizationNetColorizeFolder",
        "inputs": {
            "model": ["1", 0],
            "folder": "done_again",
            "output_folder": "done_again",
            "render_size": -1,
            "strength": 1.0,
            "saturation": 1.0,
        },
    },
}


def test_a_photo_of_an_album_that_was_deleted_is_made_again(server, base, tmp_path):
    (base / "input" / "done_again").mkdir()
    for name in ("a.png", "b.png"):
        Image.linear_gradient("L").save(base / "input" / "done_again" / name)
    results = [base / "output" / "done_again" / name for name in ("a.png", "b.png")]

    def run():
        Server(server).run(ALBUM, tmp_path, tmp_path / "out")
        return [path.stat().st_mtime_ns for path in results]

    first = run()
    assert run() == first == run()
    results[0].unlink()
    again = run()
    assert again[0] != first[0] and again[1] == first[1]


def test_a_film_keeps_another_programs_workflow(server, base, tmp_path):
    options = ("-metadata", "prompt=theirs", "-movflags", "use_metadata_tags")
    make_clip(tmp_path / "theirs.mp4", "-pix_fmt", "yuv420p", *options)
    prompt = json.loads(json.dumps(COLORIZE_VIDEO))
    prompt["1"]["inputs"]["file"] = "theirs.mp4"
    (made,) = Server(server).run(prompt, tmp_path, tmp_path / "out")
    found = read_tags(made)
    assert (
        found["source_prompt"] == "theirs" and json.loads(found["prompt"]).keys() == prompt.keys()
    )
