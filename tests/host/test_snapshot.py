"""The recorded schema of this ComfyUI's version is what this ComfyUI has."""

import json
import os
from pathlib import Path

import pytest
import snapshot


@pytest.mark.skipif("COMFYUI_DIR" not in os.environ, reason="COMFYUI_DIR names no ComfyUI checkout")
def test_the_recording_is_true(tmp_path, monkeypatch):
    recorded = snapshot.SNAPSHOTS
    monkeypatch.setattr(snapshot, "SNAPSHOTS", tmp_path)
    now = snapshot.main()
    if not (recorded / now.name).is_file():
        pytest.skip(f"there is no recording of ComfyUI {now.stem}")
    now, then = (json.loads(path.read_text()) for path in (now, Path(recorded, now.name)))
    assert (now["signatures"], now["values"]) == (then["signatures"], then["values"])
