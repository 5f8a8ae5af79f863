"""`run --each` on several servers: each file once, whatever becomes of a server."""

import json
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from colorizationnet.headless import cli, client, signals
from PIL import Image
from test_headless_server import PICTURE, PROMPT, Comfy

pytestmark = pytest.mark.slow

NAMES = ["a.png", "b.png", "c.jpg", "c.png", "d.png", "e.png"]


@contextmanager
def serving():
    server = Comfy()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def servers(monkeypatch):
    monkeypatch.setattr(client, "BACKOFF", 0.01)
    with serving() as one, serving() as other:
        yield one, other


@pytest.fixture
def run(servers, tmp_path, capsys, caplog):
    """Runs the workflow on both servers; gives code, paths and what is said."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in [*NAMES, ".hidden.png"]:
        (tmp_path / "in" / "sub" / name).write_bytes(name.encode())
    (tmp_path / "workflow.json").write_text(json.dumps(PROMPT))

    def run(*options, each="LoadImage.image=sub/*", urls=None):
        arguments = [tmp_path / "workflow.json", "--input-dir", tmp_path / "in"]
        for url in urls or [server.url for server in servers]:
            arguments += ["--server", url]
        arguments += ["--output-dir", tmp_path / "out", *options]
        arguments += ["--each", each] if each else []
        caplog.clear()
        code = cli.main(["run", *map(str, arguments)])
        output = capsys.readouterr()
        said = [*caplog.messages, *output.err.splitlines()]
        return code, sorted(output.out.splitlines()), said

    return run


def results(folder, names=NAMES):
    """What the files are called that come of these."""
    fronts = [name.partition(".")[0] if name[0] != "c" else f"sub_{name}" for name in names]
    return [str(folder / "out" / "deep" / f"{front}_x_00001_.png") for front in fronts]


def sent(server):
    """The files that a server was given, by their content."""
    return [upload[1].decode() for upload in server.uploads]


def ask_together(servers, count=2):
    """Let no server be done before each has been given something."""
    barrier = threading.Barrier(count)

    def wait(handler):
        handler.server.overrides.pop("/prompt POST")
        barrier.wait(10)
        handler.server.posts.append(("/prompt", {"prompt_id": "x"}))
        handler.reply({"number": 1, "node_errors": {}})

    for server in servers:
        server.overrides["/prompt POST"] = wait


def test_each_file_is_done_once_by_one_of_them(run, servers, tmp_path):
    ask_together(servers)
    code, saved, errors = run()
    assert (code, errors) == (0, [])
    assert saved == sorted(results(tmp_path))
    assert all(Path(path).read_bytes() == PICTURE for path in saved)
    assert sorted(sent(servers[0]) + sent(servers[1])) == NAMES
    assert sent(servers[0]) and sent(servers[1])


def test_what_a_server_leaves_goes_to_another(run, servers, tmp_path):
    one, other = servers

    def vanish(handler):
        for path in ("/history", "/features", "/view", "/prompt POST"):
            one.overrides[path] = lambda handler: handler.reply({}, 500)
        barrier.wait(10)
        handler.reply({}, 500)

    barrier = threading.Barrier(2)

    def begin(handler):
        other.overrides.clear()
        barrier.wait(10)
        handler.server.posts.append(("/prompt", {"prompt_id": "x"}))
        handler.reply({"number": 1, "node_errors": {}})

    one.overrides["/history"] = vanish  # in the middle of its first
    other.overrides["/prompt POST"] = begin
    code, saved, errors = run()
    assert code == 0 and saved == sorted(results(tmp_path))
    [line] = errors
    assert line.startswith(f"{one.url} is given no more work: {one.url}/history")
    assert line.endswith("answered 500 Internal Server Error.")
    assert len(sent(one)) == 1 and sorted(sent(other)) == NAMES


def test_servers_that_are_not_there_are_left_out(run, servers, tmp_path):
    gone = "http://127.0.0.1:9"
    code, saved, errors = run(urls=[gone, servers[0].url])
    assert code == 0 and saved == sorted(results(tmp_path)) and sorted(sent(servers[0])) == NAMES
    assert len(errors) == 1 and errors[0].startswith(
        f"{gone} is given no more work: {gone} cannot be reached: "
    )
    code, saved, errors = run(urls=[gone, "http://127.0.0.1:7"])
    assert code == 1 and not saved and "cannot be reached" in errors[-1]


def test_a_refusal_is_worded_by_the_server_and_the_others_are_asked(run, servers, tmp_path):
    error = {"type": "invalid_prompt", "message": "Missing node", "details": "SaveImage"}
    refusal = 400, {"error": error, "node_errors": {}}
    servers[0].answer = refusal
    assert run()[:2] == (0, sorted(results(tmp_path)))
    servers[1].answer = refusal
    code, saved, errors = run("--output-dir", str(tmp_path / "none"))
    assert code == 1 and not saved
    assert sorted(errors[:-1]) == sorted(f"sub/{name}: Missing node: SaveImage" for name in NAMES)
    assert errors[-1] == "6 of 6 failed, each named above."


def test_a_failing_node_is_named_with_its_file_and_server(run, servers):
    failure = {"node_id": "2", "node_type": "SaveImage", "exception_message": "no room"}
    for server in servers:
        server.messages = [["execution_error", failure]]
    code, saved, errors = run(each="LoadImage.image=sub/[ab].png")
    assert code == 1 and not saved and len(errors) == 3
    assert errors[0][:12] in ("sub/a.png: h", "sub/b.png: h")
    assert all("Node 2 (SaveImage) failed: no room" in line for line in errors[:2])


def test_one_order_goes_to_the_next_server_too(run, servers, tmp_path):
    code, saved, errors = run(each=None, urls=["http://127.0.0.1:9", servers[0].url])
    assert code == 0 and saved == [str(tmp_path / "out" / "deep" / "x_00001_.png")]


def test_ctrl_c_stops_all_servers(run, servers, monkeypatch):
    for server in servers:
        server.places = [0] * 1000

    def check():
        if all(server.posts for server in servers):
            raise KeyboardInterrupt

    monkeypatch.setattr(signals, "check", check)
    code, saved, errors = run()
    assert (code, saved, errors) == (130, [], ["Stopped."])
    for server in servers:
        assert [path for path, _ in server.posts] == ["/prompt", "/queue", "/interrupt"]


@pytest.mark.parametrize(
    ("each", "words"),
    [
        ("LoadImage.image=none/*", "no file of the input folder"),
        ("LoadImage.image=/etc/*", "no file of the input folder"),
        ("LoadImage=sub/*", "write NODE.INPUT=VALUE"),
        ("LoadImage.picture=sub/*", "has no input picture"),
    ],
)
def test_what_each_cannot_mean_is_said(run, servers, each, words):
    code, saved, errors = run(each=each)
    assert code == 2 and not saved and words in errors[-1]
    assert not servers[0].posts


@pytest.fixture
def run_here(tmp_path, capsys, caplog):
    """Runs a workflow of two nodes for each of two pictures; gives code, paths and what is said."""
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("L", (8, 8), 100).save(tmp_path / "in" / name)
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    (tmp_path / "workflow.json").write_text(json.dumps(prompt))
    options = ["--input-dir", tmp_path / "in", "--output-dir", tmp_path / "out"]

    def run(*more):
        caplog.clear()
        each = ["--each", "LoadImage.image=*.png", *more]
        code = cli.main(["run", *map(str, [tmp_path / "workflow.json", *options, *each])])
        output = capsys.readouterr()
        return code, output.out.splitlines(), [*caplog.messages, *output.err.splitlines()]

    return run


def test_each_runs_here_as_well(run_here, tmp_path):
    saved = [str(tmp_path / "out" / f"x_0000{number}_.png") for number in (1, 2)]
    assert run_here() == (0, saved, [])


def test_a_file_that_fails_here_hinders_no_other(run_here, tmp_path):
    (tmp_path / "in" / "a.png").write_bytes(b"no picture")
    code, saved, said = run_here()
    assert (code, saved) == (1, [str(tmp_path / "out" / "x_00001_.png")])
    assert "Node 1 (Load Image) failed" in said[0] and "a.png" in said[0]
    assert said[1:] == ["1 of 2 failed, each named above."]


def test_a_workflow_that_no_file_mends_is_not_told_of_for_each(run_here, tmp_path):
    for number in range(9):
        Image.new("L", (8, 8)).save(tmp_path / "in" / f"{number}.png")
    prompt = json.loads((tmp_path / "workflow.json").read_text())
    prompt["3"] = {"class_type": "Nowhere", "inputs": {}}
    (tmp_path / "workflow.json").write_text(json.dumps(prompt))
    code, saved, said = run_here()
    assert (code, saved, len(said)) == (2, [], 2)
    assert said[0].endswith(said[1]) and "there is no such node here" in said[1]


def test_a_full_disk_ends_the_work_here(run_here, monkeypatch):
    def full_disk(image, file, *_, **__):
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(Image.Image, "save", full_disk)
    code, saved, said = run_here()
    assert (code, saved, len(said)) == (1, [], 1) and "No space left on device" in said[0]
