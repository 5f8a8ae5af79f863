"""`run --server` against a small server that speaks ComfyUI's routes, well or badly."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from colorizationnet.headless import cli, client
from colorizationnet.headless.server import Server, ServerError
from colorizationnet.headless.standin.workflow import NodeError
from colorizationnet.headless.text import harmless
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.slow

PROMPT = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "sub/photo.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
SAVED = {"filename": "x_00001_.png", "subfolder": "deep", "type": "output"}
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(1000)


class Comfy(ThreadingHTTPServer):
    """Answers as told by its attributes and remembers what it was sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.messages, self.outputs = [], {"2": {"images": [SAVED]}}
        self.answer = (200, {"number": 1, "node_errors": {}})
        self.limit = 1 << 20
        self.picture, self.content_type, self.length = PICTURE, "image/png", None
        self.overrides = {}  # path: what is sent instead, or a function of the handler
        self.places = []  # what the queue says, one after the other, before the history has it
        self.uploads, self.posts, self.headers, self.asked = [], [], [], []

    def handle_error(self, request, client_address):
        pass  # a client that was interrupted


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, body, code=200, content_type="application/json", length=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def overridden(self, path):
        self.server.headers.append(self.headers)
        self.server.asked.append(path)
        override = self.server.overrides.get(path)
        if callable(override):
            override(self)
        elif override is not None:
            self.reply(override)
        return override is not None

    def do_GET(self):  # noqa: N802
        url = urlsplit(self.path)
        path = "/history" if url.path.startswith("/history/") else url.path
        prompt_id = url.path.rsplit("/")[-1]
        if self.overridden(path):
            return
        if url.path == "/object_info/LoadImage":
            required = {"image": [["a.png"], {"image_upload": True}], "plain": ["IMAGE"]}
            inputs = {"required": required, "optional": {"size": ["INT", {"default": 0}]}}
            self.reply({"LoadImage": {"input": inputs | {"hidden": {"prompt": "PROMPT"}}}})
        elif url.path.startswith("/object_info/"):
            self.reply({})
        elif url.path == "/features":
            self.reply({"max_upload_size": self.server.limit})
        elif path == "/history":
            status = {"messages": self.server.messages}
            done = {prompt_id: {"status": status, "outputs": self.server.outputs}}
            self.reply({} if self.server.places else done)
        elif url.path == "/queue":
            mine = self.server.posts[-1][1]["prompt_id"]
            self.reply(queue(self.server.places.pop(0), mine))
        elif url.path == "/view":
            self.server.viewed = parse_qs(url.query)
            server = self.server
            self.reply(server.picture, 200, server.content_type, server.length)
        else:
            self.reply({}, 404)

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.overridden(self.path + " POST"):
            return
        if self.path == "/upload/image":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = message_from_bytes(head + body).get_payload()
            self.server.uploads.append([part.get_payload(decode=True) for part in parts])
            self.server.uploads[-1].append(parts[1].get_filename())
            self.reply({"name": "photo (1).png", "subfolder": "sub", "type": "input"})
            return
        sent = json.loads(body)
        self.server.posts.append((self.path, sent))
        code, answer = self.server.answer if self.path == "/prompt" else (200, {})
        self.reply(answer, code)


def queue(place, mine):
    """What ComfyUI's queue looks like with `mine` at work (0), waiting behind some, or gone."""
    others = [[index, f"other{index}", {}, {}, []] for index in range(place or 0)]
    here = [[len(others), mine, {}, {}, []]] if place is not None else []
    running, *pending = [*others, *here] or [None]
    return {"queue_running": [running] if running else [], "queue_pending": pending[::-1]}


@pytest.fixture
def comfy():
    server = Comfy()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(comfy, tmp_path, capsys):
    """Runs the workflow through the command line; gives code, paths and error lines."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "photo.png").write_bytes(b"pixels")
    (tmp_path / "workflow.json").write_text(json.dumps(PROMPT))

    def run(*options, url=comfy.url):
        arguments = [tmp_path / "workflow.json", "--server", url, "--input-dir", tmp_path / "in"]
        arguments += ["--output-dir", tmp_path / "out", *options]
        code = cli.main(["run", *map(str, arguments)])
        output = capsys.readouterr()
        return code, output.out.splitlines(), output.err.splitlines()

    return run


@pytest.fixture
def hasty(monkeypatch):
    """Waits so short that a test can see their end."""
    monkeypatch.setattr(client, "SILENCE", 0.2)
    monkeypatch.setattr(client, "BACKOFF", 0.01)


@pytest.fixture
def nothing_written(tmp_path):
    yield
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "out", "workflow.json"}


def test_inputs_go_up_and_results_come_down(run, comfy, tmp_path):
    code, saved, errors = run("--set", "2.filename_prefix=y")
    assert (code, errors) == (0, [])
    assert comfy.uploads == [[b"sub", b"pixels", "photo.png"]]
    (path, body) = comfy.posts[0]
    assert path == "/prompt" and body["prompt_id"]
    assert body["prompt"]["1"]["inputs"] == {"image": "sub/photo (1).png"}
    assert body["prompt"]["2"]["inputs"]["filename_prefix"] == "y"
    result = tmp_path / "out" / "deep" / "x_00001_.png"
    assert saved == [str(result)] and result.read_bytes() == PICTURE
    assert comfy.viewed == {key: [value] for key, value in SAVED.items()}


def test_a_large_input_is_sent_piece_by_piece(run, comfy, tmp_path):
    large = os.urandom(3 * client.CHUNK + 5)
    (tmp_path / "in" / "sub" / "photo.png").write_bytes(large)
    comfy.limit = 1 << 30
    assert run()[0] == 0 and comfy.uploads[0][1] == large


def test_set_knows_the_inputs_of_the_servers_nodes(run, comfy):
    assert run("--set", "1.size=3")[0] == 0
    assert comfy.posts[0][1]["prompt"]["1"]["inputs"]["size"] == 3
    code, _, errors = run("--set", "1.power=3")
    assert code == 2 and errors[0].endswith("has no input power; it has image, plain, size.")


def test_a_result_never_replaces_a_file(run, tmp_path):
    taken = tmp_path / "out" / "deep" / "x_00001_.png"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"mine")
    code, saved, _ = run()
    assert code == 0 and saved == [str(taken.with_name("x_00001_ (1).png"))]
    assert taken.read_bytes() == b"mine"


def test_previews_stay_on_the_server(run, comfy):
    comfy.outputs = {"2": {"images": [SAVED | {"type": "temp"}], "text": ["hello"]}}
    code, saved, errors = run()
    assert (code, saved) == (0, []) and errors[0].startswith("No picture or film was saved")


@pytest.mark.parametrize(
    "name",
    [
        {"filename": ""},
        {"filename": "."},
        {"filename": ".."},
        {"filename": "/var/x.png"},
        {"filename": "a/b.png"},
        {"filename": "a\\b.png"},
        {"filename": ".bashrc"},
        {"filename": "\x1b[2Jx.png"},
        {"filename": "\0.png"},
        {"filename": 7},
        {"subfolder": "../.."},
        {"subfolder": "deep/../.."},
        {"subfolder": "deep\\..\\.."},
        {"subfolder": "/tmp"},
        {"subfolder": "\\tmp"},
        {"subfolder": "."},
        {"subfolder": ".ssh"},
        {"subfolder": None},
    ],
)
def test_a_result_outside_the_output_folder_is_refused(run, comfy, nothing_written, name):
    comfy.outputs = {"2": {"images": [SAVED | name]}}
    code, saved, errors = run()
    assert (code, saved, len(errors)) == (1, [], 1) and errors[0].isprintable()
    assert "/view" not in comfy.asked


def test_a_link_that_leads_out_of_the_output_folder_is_not_followed(run, comfy, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").symlink_to(tmp_path / "in")
    code, _, errors = run()
    assert code == 1 and "inside the output folder" in errors[0]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["sub"]


@pytest.mark.parametrize(
    "fault, words",
    [
        ({"length": 5000}, "broke off"),
        ({"picture": b"", "length": None}, "sent nothing in place of x_00001_.png"),
        ({"content_type": "text/html"}, "sent text/html in place of x_00001_.png"),
        ({"content_type": "application/json"}, "sent application/json in place of"),
        ({"picture": b"\n<!DOCTYPE html>"}, "sent a web page in place of x_00001_.png"),
    ],
)
def test_a_download_comes_whole_or_not_at_all(run, comfy, nothing_written, fault, words):
    for name, value in fault.items():
        setattr(comfy, name, value)
    code, saved, errors = run()
    assert (code, saved) == (1, []) and words in errors[0]


def test_a_download_without_an_end_is_refused(run, comfy, nothing_written):
    def without_a_length(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: image/png\r\n\r\n" + PICTURE)
        handler.close_connection = True

    comfy.overrides["/view"] = without_a_length
    code, _, errors = run()
    assert code == 1 and "does not say how long x_00001_.png is" in errors[0]


def test_a_type_that_nobody_knows_is_taken(run, comfy):
    comfy.content_type = "application/octet-stream"
    assert run()[0] == 0


def test_a_refused_workflow_is_worded_by_the_server(run, comfy):
    problem = {"message": "Value 7 bigger than max of 1", "details": "strength"}
    comfy.answer = (
        400,
        {
            "error": {"message": "Prompt outputs failed validation", "details": ""},
            "node_errors": {"2": {"class_type": "SaveImage", "errors": [problem]}},
        },
    )
    code, _, errors = run()
    assert code == 2
    assert errors == ["Node 2 (SaveImage): Value 7 bigger than max of 1: strength"]
    comfy.answer = (
        400,
        {"error": {"message": "Node 'X' not found.", "details": "#1"}, "node_errors": {}},
    )
    assert run()[2] == ["Node 'X' not found.: #1"]


def test_a_workflow_that_is_sound_in_part_does_not_run(run, comfy):
    problem = {"message": "Required input is missing", "details": "images"}
    errors = {"2": {"class_type": "SaveImage", "errors": [problem]}}
    comfy.answer = (200, {"prompt_id": "p1", "node_errors": errors})
    code, _, lines = run()
    assert code == 2 and lines == ["Node 2 (SaveImage): Required input is missing: images"]
    assert [path for path, _ in comfy.posts] == ["/prompt", "/queue", "/interrupt"]


def test_a_failing_node_is_worded_by_the_server(run, comfy):
    data = {"node_id": "2", "node_type": "SaveImage", "exception_message": "disk\nfull\n"}
    comfy.messages = [["execution_start", {}], ["execution_error", data]]
    code, saved, errors = run()
    assert (code, saved, errors) == (1, [], ["Node 2 (SaveImage) failed: disk full"])
    comfy.messages = [["execution_interrupted", {"node_id": "2"}]]
    assert run()[2] == ["The workflow was stopped on the server at node 2."]


def test_what_a_server_says_is_harmless_and_short(run, comfy):
    shout = "\x1b]0;owned\x07\x1b[2J\u202e" + "a" * 100_000
    data = {"node_id": "2", "node_type": "SaveImage", "exception_message": shout}
    comfy.messages = [["execution_error", data]]
    (line,) = run()[2]
    assert line.isprintable() and len(line) < 3000 and r"\x1b]0;owned\x07" in line
    comfy.answer = (400, {"error": {"message": shout, "details": shout}, "node_errors": {}})
    (line,) = run()[2]
    assert line.isprintable() and len(line) < 3000


def test_a_long_job_is_waited_for(run, comfy, hasty):
    comfy.places = [2, 1, 1, 0, 0, 0, 0]
    code, saved, errors = run()
    assert (code, len(saved), errors) == (0, 1, [])


def test_a_short_gap_is_survived(run, comfy, hasty):
    comfy.places = [0]
    failing = [503, 502, "close"]

    def shaky(handler):
        fault = failing.pop()
        if not failing:
            del comfy.overrides["/history"]
        if fault == "close":
            handler.close_connection = True
        else:
            handler.reply({}, fault)

    comfy.overrides["/history"] = shaky
    assert run()[0] == 0 and not failing


def test_a_server_that_falls_silent_is_left(run, comfy, hasty, nothing_written):
    stop = threading.Event()
    comfy.overrides["/history"] = lambda handler: stop.wait(20)
    code, saved, errors = run()
    stop.set()
    assert (code, saved) == (1, [])
    assert errors == [f"{comfy.url} cannot be reached: it does not answer."]


def test_a_server_that_vanishes_is_noticed(run, comfy, hasty, caplog):
    def vanish(handler):
        comfy.socket.close()
        handler.close_connection = True

    comfy.overrides["/history"] = vanish
    code, _, errors = run()
    assert code == 1 and errors[0].startswith(f"{comfy.url} cannot be reached: ")
    assert not caplog.records  # one sentence at the end, and not one an attempt


def test_a_server_that_was_started_anew_is_noticed(run, comfy, hasty):
    comfy.places = [0, None, None, None, None]
    code, _, errors = run()
    assert code == 1 and "no longer knows the workflow" in errors[0]


def test_ctrl_c_stops_the_server_too(run, comfy):
    def interrupt(handler):
        os.kill(os.getpid(), 2)
        handler.reply({})

    comfy.overrides["/history"] = interrupt
    comfy.places = [0] * 100
    code, _, errors = run()
    assert (code, errors) == (130, ["Stopped."])
    prompt_id = comfy.posts[0][1]["prompt_id"]
    assert comfy.posts[1:] == [
        ("/queue", {"delete": [prompt_id]}),
        ("/interrupt", {"prompt_id": prompt_id}),
    ]


def test_a_key_goes_with_every_request(run, comfy, monkeypatch):
    assert run("--api-key", "secret")[0] == 0
    assert {headers["Authorization"] for headers in comfy.headers} == {"Bearer secret"}
    monkeypatch.setenv("COLORIZATIONNET_API_KEY", "other")
    comfy.headers.clear()
    assert run()[0] == 0
    assert {headers["Authorization"] for headers in comfy.headers} == {"Bearer other"}
    code, _, errors = run("--api-key", "a\r\nHost: b")
    assert code == 2 and "API key" in errors[0] and "Host" not in errors[0]


def test_a_server_that_wants_a_key_or_sends_on(run, comfy):
    comfy.overrides["/object_info/LoadImage"] = lambda handler: handler.reply({}, 401)
    assert run()[2] == [
        f"{comfy.url}/object_info/LoadImage answered 401 Unauthorized; give its key by --api-key."
    ]

    def elsewhere(handler):
        handler.send_response(302)
        handler.send_header("Location", "https://elsewhere/")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    comfy.overrides["/object_info/LoadImage"] = elsewhere
    assert run()[2][0].endswith("answered 302 Found; it sends on to https://elsewhere/.")


@pytest.mark.parametrize("body", [[], b"<html>", b"", b"[" * 100_000, b"\xff"])
@pytest.mark.parametrize(
    "path",
    ["/object_info/LoadImage", "/features", "/upload/image POST", "/prompt POST", "/history"],
)
def test_odd_answers_are_said_in_a_sentence(run, comfy, hasty, nothing_written, path, body):
    comfy.overrides[path] = body
    if path == "/prompt POST" and body == b"":  # it says nothing against the workflow
        comfy.overrides["/history"] = b""
    code, saved, errors = run()
    assert (code, saved, len(errors)) == (1, [], 1)
    assert errors[0].startswith(comfy.url) and errors[0].endswith("is it a ComfyUI server?")


@pytest.mark.parametrize(
    "path, body",
    [
        ("/object_info/LoadImage", {"LoadImage": 3}),
        ("/object_info/LoadImage", {"LoadImage": {"input": {"required": {"image": []}}}}),
        ("/upload/image POST", {"name": 3, "subfolder": []}),
        ("/prompt POST", {"node_errors": {"2": "bad"}}),
        ("/queue", {"queue_running": [[]], "queue_pending": 3}),
    ],
)
def test_answers_of_another_shape_are_said_in_a_sentence(run, comfy, nothing_written, path, body):
    comfy.overrides[path] = body
    comfy.places = [0]
    code, saved, errors = run()
    assert (code, saved, len(errors)) == (1, [], 1)
    assert errors[0].startswith(comfy.url) and errors[0].endswith("is it a ComfyUI server?")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["2", "images", "filename", "subfolder", "type", "status", "messages", "outputs"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_no_answer_makes_it_stumble(comfy, tmp_path):
    server = Server(comfy.url)

    @given(JSON, JSON)
    def stumble(status, outputs):
        done = {"status": status, "outputs": outputs}
        comfy.overrides["/history"] = lambda handler: handler.reply(
            {handler.path.rsplit("/")[-1]: done}
        )
        with suppress(ServerError, NodeError):
            server.run({}, tmp_path, tmp_path / "out")
        assert not list(tmp_path.rglob("*.part*"))

    stumble()


def test_a_file_that_the_server_will_not_take(run, comfy):
    comfy.limit = 10
    code, _, errors = run()
    assert code == 1 and "--max-upload-size" in errors[0] and not comfy.uploads


def test_inputs_stay_in_the_input_folder(run, comfy, tmp_path):
    (tmp_path / "secret.png").touch()
    code, _, errors = run("--set", "1.image=../secret.png")
    assert code == 2 and "leads outside the input folder" in errors[0] and not comfy.posts


def test_no_server(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code, _, errors = run(url=f"http://127.0.0.1:{port}")
    assert code == 1
    assert errors == [f"http://127.0.0.1:{port} cannot be reached: Connection refused."]


def test_another_server(run, comfy):
    code, _, errors = run(url=f"{comfy.url}/other")
    assert code == 1 and errors[0].endswith("answered 404 Not Found.")


def test_a_password_is_not_shown(run, comfy):
    code, _, errors = run(url=f"http://me:secret@127.0.0.1:{comfy.server_port}/other")
    assert code == 1 and "secret" not in errors[0]
    assert comfy.headers[0]["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("url", ["ftp://host", "http://", "", "http://[::1", "http://a:b"])
def test_addresses_that_are_none(run, url):
    code, _, errors = run(url=url)
    assert code == 2 and errors == [
        f"{url} is not the address of a server; try http://127.0.0.1:8188."
    ]


def test_it_is_said_what_is_missing(tmp_path):
    (tmp_path / "workflow.json").write_text(json.dumps(PROMPT))
    code = (
        "import sys; sys.modules['requests'] = None; from colorizationnet.headless.cli import main;"
        "sys.exit(main(['run', 'workflow.json', '--server', 'http://127.0.0.1:9']))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "--server needs the package requests: pip install requests.\n"


@given(st.text(), st.integers(5, 40))
def test_harmless_text_stays_and_other_text_is_written_out(text, limit):
    shown = harmless(text, limit)
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert harmless(shown, len(shown)) == shown
    if len(text) <= limit and (text.isprintable() or not text):
        assert shown == text


def test_an_editors_workflow_is_converted_by_the_servers_nodes(comfy, tmp_path, capsys):
    slots = [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]
    load = {"id": 1, "type": "LoadImage", "outputs": slots, "widgets_values": ["a.png", 7, "image"]}
    workflow = {"nodes": [load], "links": [[1, 1, 0, 2, 0, "IMAGE"]]}
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(workflow))
    command = ["run", str(path), "--server", comfy.url, "--output-dir", str(tmp_path / "out")]
    assert cli.main(command) == 0, capsys.readouterr().err
    (_, order) = comfy.posts[0]
    assert order["prompt"]["1"]["inputs"] == {"image": "a.png", "size": 7}
    assert order["extra_data"] == {"extra_pnginfo": {"workflow": workflow}}

    saver = {"id": 2, "type": "Saver", "title": "My saver", "inputs": [{"name": "x", "link": 1}]}
    path.write_text(json.dumps(workflow | {"nodes": [load, saver]}))
    assert cli.main(command) == 2
    assert "Node 2 (Saver, titled 'My saver')" in capsys.readouterr().err
