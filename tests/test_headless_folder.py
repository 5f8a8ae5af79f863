"""`colorize` with many files: what is done, what is left, and what a second run does."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from colorizationnet.headless import cli, colorize
from colorizationnet.headless.claims import claimed
from colorizationnet.headless.jobs import Job, Ledger, State
from colorizationnet.headless.journal import NAME, Journal, source_of
from colorizationnet.headless.painter import Painter
from colorizationnet.headless.sources import Source
from colorizationnet.model import ColorizationNet
from colorizationnet.pipeline import VideoError, colorize_photo
from colorizationnet.pipeline.photo import paint_photo
from PIL import Image, features

pytestmark = pytest.mark.slow

ROW = np.linspace(20, 230, 48).astype(np.uint8)


def grey(seed=0):
    return Image.fromarray(np.roll(np.tile(ROW, (32, 1)), seed, axis=1))


def in_color():
    return Image.merge("RGB", [grey(0), grey(16), grey(32)])


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """A folder as people keep them."""
    monkeypatch.chdir(tmp_path)
    folder = Path("scans")
    (folder / "1920").mkdir(parents=True)
    (folder / ".thumbnails").mkdir()
    grey().save(folder / "a.jpg")
    grey(1).save(folder / "b.jfif", "JPEG")
    grey(2).save(folder / "c.pgm", "PPM")
    grey(3).save(folder / "d.tga")
    grey(4).save(folder / "e.gif")
    grey(5).save(folder / "e.png")
    deep = np.tile(np.linspace(0, 65535, 48).astype(np.uint16), (32, 1))
    Image.fromarray(deep).save(folder / "1920" / "f.tif")
    in_color().save(folder / "g.png")
    grey().save(folder / ".hidden.png")
    grey().save(folder / ".thumbnails" / "h.png")
    grey().save(folder / "old-color.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


MADE = [
    "done/1920/f-color.tif",
    "done/a-color.jpg",
    "done/b-color.jfif",
    "done/c-color.ppm",
    "done/d-color.tga",
    "done/e-color.png",
    "done/e.gif-color.png",
    "done/g-color.png",
]


@pytest.fixture
def run(capsys, caplog):
    """Runs `colorize`; gives the exit code, the files printed, and what was said."""

    def run(*arguments):
        caplog.clear()
        code = cli.main(["colorize", "--render-size", "32", *arguments])
        output = capsys.readouterr()
        return code, sorted(output.out.splitlines()), caplog.messages + output.err.splitlines()

    return run


def test_a_mixed_folder_is_done_whole_and_counted(scans, run):
    code, saved, said = run("scans", "-o", "done")
    assert (code, saved) == (0, MADE)
    assert said[-1].startswith("8 coloured in 0:0")
    assert said[-1].endswith("; skipped 1, files of other kinds: notes.txt.")
    with Image.open("done/1920/f-color.tif") as image:
        assert image.size == (48, 32)
    assert {path.name for path in Path("done").iterdir() if path.name[0] == "."} == {NAME}


def test_a_folder_may_be_where_the_user_stands(scans, run, monkeypatch):
    monkeypatch.chdir("scans")
    code, saved, _ = run(".", "-o", "../done")
    assert (code, saved) == (0, [f"../{name}" for name in MADE])


@pytest.mark.skipif(not (features.check("avif") and features.check("jpg_2000")), reason="Pillow")
def test_photos_share_a_model_and_another_network_has_its_own(tmp_path):
    class Counted:
        def __init__(self, seed):
            torch.manual_seed(seed)
            self.network, self.asked = ColorizationNet().eval().requires_grad_(False), 0

        def chroma_model(self, options, device):
            self.asked += 1
            return self.network.chroma_model(options, device)

    grey().save(tmp_path / "a.png")
    parser = argparse.ArgumentParser()
    colorize.add_parser(parser.add_subparsers())
    painter = Painter(parser.parse_args(["colorize", str(tmp_path), "--no-metadata"]))
    networks = Counted(0), Counted(1)
    for network in networks:
        painter.use(network)
        target = tmp_path / f"{len(list(tmp_path.iterdir()))}.png"
        for overwrite in (False, True, True):
            painter.paint(Job(Source(tmp_path / "a.png", is_clip=False), target), overwrite)
        with Image.open(target) as file:
            made = np.asarray(file)
        colorize_photo(tmp_path / "a.png", target, network.network, overwrite=True)
        with Image.open(target) as file:
            assert np.array_equal(made, np.asarray(file))
    assert [network.asked for network in networks] == [1, 1]
    with Image.open(tmp_path / "1.png") as one, Image.open(tmp_path / "2.png") as other:
        assert not np.array_equal(np.asarray(one), np.asarray(other))


def test_avif_and_jpeg_2000_are_photos(scans, run):
    grey().save("scans/k.avif")
    grey().save("scans/l.jp2")
    code, saved, _ = run("scans/k.avif", "scans/l.jp2")
    assert (code, saved) == (0, ["scans/k-color.avif", "scans/l-color.jp2"])


def test_a_second_run_does_what_is_new_or_changed(scans, run):
    run("scans", "-o", "done")
    before = {path: path.stat().st_mtime_ns for path in map(Path, MADE)}
    grey(9).save(scans / "new.png")
    grey(30).save(scans / "a.jpg")
    os.utime(scans / "a.jpg", ns=(1, 1))
    code, saved, said = run("scans", "-o", "done")
    assert (code, saved) == (0, ["done/a-color.jpg", "done/new-color.png"])
    assert said[-1].startswith("2 coloured") and "; 7 already there; " in said[-1]
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == [Path("done/a-color.jpg")]


def test_what_others_made_or_changed_is_never_replaced_unasked(scans, run):
    Path("done").mkdir()
    Path("done/a-color.jpg").write_bytes(b"mine")
    run("scans", "-o", "done")
    Path("done/d-color.tga").write_bytes(b"retouched")
    os.utime(scans / "d.tga", ns=(1, 1))
    code, saved, said = run("scans", "-o", "done")
    assert (code, saved) == (0, [])
    assert "2 already there, made or changed by others (--overwrite replaces them)" in said[-1]
    assert Path("done/a-color.jpg").read_bytes() == b"mine"
    assert Path("done/d-color.tga").read_bytes() == b"retouched"
    assert run("scans", "-o", "done", "--overwrite")[1] == MADE


def test_other_settings_are_told_and_replace_nothing(scans, run):
    run("scans", "-o", "done")
    first = Path("done/a-color.jpg").read_bytes()
    code, saved, said = run("scans", "-o", "done", "--strength", "0.5")
    assert (code, saved) == (0, [])
    assert "8 already there, made with other settings (--overwrite replaces them)" in said[-1]
    assert Path("done/a-color.jpg").read_bytes() == first


def test_a_broken_file_fails_each_time_and_the_others_once(scans, run):
    (scans / "bad.png").write_bytes(b"no picture")
    assert run("scans", "-o", "done")[:2] == (1, MADE)
    code, saved, said = run("scans", "-o", "done")
    assert (code, saved) == (1, [])
    assert said[0].startswith("scans/bad.png: ") and said[-1].startswith("1 of 9 files failed")


def test_a_broken_file_lends_its_results_name_to_no_other(scans, run):
    """Both become .ppm: what the second is called must not go by what the first is worth today."""
    (scans / "p.pbm").touch()
    grey().save(scans / "p.pgm", "PPM")
    files = ("scans/p.pbm", "scans/p.pgm", "-o", "done/")
    code, saved, _ = run(*files)
    assert (code, saved) == (1, ["done/p.pgm-color.ppm"])
    grey().convert("1").save(scans / "p.pbm", "PPM")
    code, saved, said = run(*files)
    assert (code, saved) == (0, ["done/p-color.ppm"]), said


def test_damaged_photos_are_done_and_counted(scans, run):
    Image.linear_gradient("L").save("whole.jpg", quality=95)
    data = Path("whole.jpg").read_bytes()
    for name in "wxyz":
        Path(f"scans/{name}.jpg").write_bytes(data[: len(data) * 2 // 3])
    code, _, said = run("scans", "-o", "done")
    assert code == 0 and any("w.jpg: damaged (the file ends early)" in line for line in said)
    assert any("4 of damaged sources: w.jpg, x.jpg, y.jpg and 1 more" in line for line in said)


@pytest.mark.parametrize("option", ["--skip-colour", "--skip-color"])
def test_photos_in_colour_are_left_when_asked(scans, run, option):
    code, saved, said = run("scans", "-o", "done", option)
    assert (code, saved) == (0, MADE[:-1]) and "; 1 left, in colour already; " in said[-1]
    code, saved, said = run("scans", "-o", "done", option)
    assert (code, saved) == (0, []) and "1 left, in colour already" in said[-1]
    assert run("scans", "-o", "done")[1] == MADE[-1:]


def test_a_dry_run_writes_nothing(scans, run):
    code, lines, said = run("scans", "-o", "done", "--dry-run")
    assert code == 0 and "scans/a.jpg -> done/a-color.jpg" in lines and len(lines) == len(MADE)
    assert said[-1].startswith("8 to do; ") and not Path("done").exists()
    assert run("scans/a.jpg", "--dry-run")[1] == ["scans/a.jpg -> scans/a-color.jpg"]
    assert not Path("scans/a-color.jpg").exists()


def test_a_single_photo_that_is_there(scans, run):
    assert run("scans/a.jpg")[0] == 0
    code, saved, said = run("scans/a.jpg")
    assert (code, saved) == (2, []) and said[0].endswith("or add --overwrite.")
    assert run("scans/a.jpg", "--skip-existing")[:2] == (0, [])
    assert run("scans/a.jpg", "--overwrite")[:2] == (0, ["scans/a-color.jpg"])


def test_a_source_is_never_a_result(scans, run):
    before = (scans / "a.jpg").read_bytes()
    code, saved, said = run("scans/a.jpg", "-o", "scans/a.jpg", "--overwrite")
    assert (code, saved) == (2, [])
    assert said == ["scans/a.jpg is one of the sources; name another with -o."]
    assert (scans / "a.jpg").read_bytes() == before


def test_a_result_that_appears_meanwhile_is_kept(scans, run, monkeypatch):
    def slow(source, target, *arguments, on_progress, **named):
        def report(*_):
            if target.name == "a-color.jpg":
                target.write_bytes(b"mine")

        return paint_photo(source, target, *arguments, on_progress=report, **named)

    monkeypatch.setattr("colorizationnet.pipeline.photo.paint_photo", slow)
    code, saved, said = run("scans", "-o", "done")
    assert (code, saved) == (1, [name for name in MADE if "a-color" not in name])
    assert "done/a-color.jpg is there already; choose another name." in said[0]
    assert Path("done/a-color.jpg").read_bytes() == b"mine"


def test_a_full_disk_ends_a_folder_of_films(scans, run, monkeypatch):
    tried = []

    def full(clip, target, *_, **__):
        tried.append(target)
        raise VideoError(f"{target} could not be written: No space left on device.")

    monkeypatch.setattr("colorizationnet.pipeline.colorize_long_film", full)
    Path("films").mkdir()
    for name in ("a.gif", "b.gif"):
        grey().save(f"films/{name}", save_all=True, append_images=[grey(9)])
    code, _, said = run("films")
    assert code == 1 and said[-1] == "films/a-color.mp4: No space left on device."
    assert tried == [Path("films/a-color.mp4")]


def test_a_folder_that_cannot_be_written_to_ends_the_work(scans, run, monkeypatch):
    Path("done").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, saved, said = run("scans", "-o", "done")
    assert (code, saved) == (1, []) and said[-1] == "done: Permission denied."
    assert said[-2].startswith("8 not done; ")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_cannot_be_written_to_fails_by_its_name_amid_others(scans, run, monkeypatch):
    """Also for who may write anywhere, as root may."""
    original = os.open

    def closed(path, *arguments, **more):
        if Path(path).parent == scans / "1920":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *arguments, **more)

    monkeypatch.setattr(os, "open", closed)
    code, saved, said = run("scans")
    assert code == 1 and len(saved) == len(MADE) - 1
    assert "scans/1920/f.tif: scans/1920: Permission denied." in said
    assert said[-1] == "1 of 8 files failed, each named above."


def test_results_among_the_names_are_no_sources(scans, run):
    """As the shell gives them for *.jpg the second time."""
    first = run("scans/a.jpg", "scans/b.jfif")[1]
    code, saved, said = run(
        "scans/a-color.jpg", "scans/a.jpg", "scans/b-color.jfif", "scans/b.jfif"
    )
    assert (code, saved) == (0, [])
    assert said[-1] == "2 already there; skipped 2, earlier results: a-color.jpg, b-color.jfif."
    assert run(*first, "-o", "again/")[:2] == (
        0,
        ["again/a-color-color.jpg", "again/b-color-color.jfif"],
    )


def test_why_a_folder_holds_nothing_is_said(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert run("empty")[2] == ["There are no photos or clips to colorize in empty."]
    Path("empty/notes.txt").write_text("no picture")
    assert "(there are 1 files of other kinds)." in run("empty")[2][0]

    def unreadable(folder, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder)))
        return iter(())

    monkeypatch.setattr(os, "walk", unreadable)
    assert "(there are 1 folders that cannot be read)." in run("empty")[2][0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scans/a.jpg", "--start", "-1"], "--start is -1; choose 0 s or later."),
        (["scans/a.jpg", "--start", "inf"], "--start is inf; "),
        (["scans/a.jpg", "--duration", "0"], "--duration is 0; choose more than 0 s."),
        (["scans/a.jpg", "--duration", "nan"], "--duration is nan; "),
        (["scans/a.jpg", "--keyframes", "keys"], "--keyframes belongs to one clip"),
        (["scans/a.jpg", "--bit-depth", "10"], "photos have 8 or 16 bits."),
        (["scans/a.jpg", "--compare", "wipe"], "a photo shows both by half."),
        (["scans/notes.txt"], "scans/notes.txt cannot be coloured: "),
        (["scans/notes.txt"] * 2, "scans/notes.txt cannot be coloured: "),
        (["scans", "-o", "scans/a.jpg"], "scans/a.jpg is no folder; "),
        (["scans/a.jpg", "-o", "scans/a.jpg/b.jpg"], "scans/a.jpg is no folder; "),
        (["scans/a.jpg", "-o", f"{'n' * 300}.jpg"], "File name too long"),
        (["gone.jpg"], "There is no file gone.jpg; check the name."),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(scans, run, arguments, words):
    code, saved, said = run(*arguments)
    assert code != 0 and saved == [] and len(said) == 1 and words in said[0]
    assert "is there already" not in said[0]


def test_a_bit_depth_is_for_photos_too(scans, run):
    assert run("scans/1920/f.tif", "-o", "f.tif", "--bit-depth", "8")[0] == 0
    with Image.open("f.tif") as image:
        assert image.tag_v2[258] == (8, 8, 8)


def test_heic_says_what_to_install(scans, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (scans / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    code, _, said = run("scans/x.heic")
    assert code == 2 and "install pillow-heif (pip install pillow-heif)" in said[0]
    code, saved, said = run("scans", "-o", "done")
    assert (code, saved) == (0, MADE)
    assert "skipped 1, HEIC photos, for which pillow-heif is missing" in said[-1]


def test_what_leads_nowhere_is_counted_and_harms_nothing(scans, run):
    (scans / "round.png").symlink_to("round.png")
    (scans / "gone.png").symlink_to("nowhere.png")
    (scans / "self").symlink_to(".")
    (scans / "raw.nef").write_bytes(b"II*\0" + bytes(200))
    code, saved, said = run("scans", "-o", "done")
    assert (code, saved) == (0, MADE)
    assert "skipped 2, broken links and the like: gone.png, round.png" in said[-1]
    assert "skipped 1, links to folders: self" in said[-1]
    assert "skipped 1, raw files of cameras: raw.nef" in said[-1]


def test_names_steer_no_terminal(scans, run):
    (scans / "\x1b[31mbad.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "colorizationnet", "colorize", "scans", "-o", "done"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and r"scans/\x1b[31mbad.png: " in done.stderr
    assert "\x1b" not in done.stderr


def test_the_journal_outlives_torn_lines_and_strangers(tmp_path):
    torn = b'{"name": "a.png", "sour\n[1]\n' + b"[" * 100_000 + b'\nnull\n{"name": 1}\n{"na'
    (tmp_path / NAME).write_bytes(torn)
    target = tmp_path / "b.png"
    target.write_bytes(b"result")
    Journal(tmp_path).add(target, {"source": "b", "size": 1, "mtime_ns": 2}, "settings")
    entry = Journal(tmp_path).entry(target)
    assert entry["source"] == "b" and entry["result_size"] == 6
    assert Journal(tmp_path).entry(tmp_path / "a.png") is None
    assert json.loads((tmp_path / NAME).read_bytes().splitlines()[-1]) == entry


def test_two_processes_share_a_folder(scans):
    for number in range(12):
        grey(number).resize((480, 320)).save(scans / f"more{number:02}.png")
    command = [sys.executable, "-m", "colorizationnet", "colorize", "scans", "-o", "done"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    saved = [program.communicate()[0].splitlines() for program in both]
    assert [program.returncode for program in both] == [0, 0]
    names = [*MADE, *(f"done/more{number:02}-color.png" for number in range(12))]
    assert sorted(saved[0] + saved[1]) == sorted(names)
    assert [path.name for path in Path("done").iterdir() if path.name[0] == "."] == [NAME]


def test_of_two_that_overwrite_each_does_what_the_other_has_not(tmp_path):
    grey().save(tmp_path / "a.png")
    target = tmp_path / "a-color.png"
    grey().save(target)
    job = Job(Source(tmp_path / "a.png"), target)
    source = source_of(job.source)
    Journal(tmp_path).add(target, source, "settings")
    ledger = Ledger(overwrite=True, skip_color=False, sweep=True)
    assert ledger.state(job, "settings") == State.TO_DO
    Journal(tmp_path).add(target, source, "settings")
    ledger.journal(tmp_path).refresh()
    assert ledger.state(job, "settings") == State.DONE
    assert ledger.state(job, "others") == State.TO_DO


def test_a_claim_is_taken_over_when_its_process_has_ended(tmp_path):
    target = tmp_path / "a.png"
    code = "import sys, time; from pathlib import Path"
    code += "\nfrom colorizationnet.headless.claims import claimed"
    code += "\nwith claimed(Path(sys.argv[1])): print(flush=True); time.sleep(600)"
    command = [sys.executable, "-c", code, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with claimed(target) as mine:
            assert not mine
        other.kill()
    with claimed(target) as mine:
        assert mine
    assert not list(tmp_path.iterdir())
