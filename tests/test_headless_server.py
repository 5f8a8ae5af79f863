"""`run --server` against a small server that speaks ComfyUI's routes and its WebSocket."""

import base64
import hashlib
import json
import threading
from contextlib import suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from colorizationnet.headless import cli
from colorizationnet.headless.server import Server, ServerError
from colorizationnet.headless.websocket import GUID, WebSocket

PROMPT = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "sub/photo.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
SAVED = {"filename": "x_00001_.png", "subfolder": "deep", "type": "output"}


def text(data, final=True, opcode=1):
    payload = data if isinstance(data, bytes) else json.dumps(data).encode()
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = bytes([126]) + size.to_bytes(2, "big")
    else:
        length = bytes([127]) + size.to_bytes(8, "big")
    return bytes([0x80 * final | opcode]) + length + payload


def event(kind, **data):
    return text({"type": kind, "data": {"prompt_id": "p1", **data}})


class Comfy(ThreadingHTTPServer):
    """Answers as told by its attributes and remembers what it was sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.frames = [event("executing", node="2"), event("executing", node=None)]
        self.messages, self.outputs = [], {"2": {"images": [SAVED]}}
        self.answer = (200, {"prompt_id": "p1", "number": 1, "node_errors": {}})
        self.limit = 1 << 20
        self.uploads, self.posts, self.from_client = [], [], b""
        self.queued = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, body, code=200):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # noqa: N802
        url = urlsplit(self.path)
        if url.path == "/ws":
            self.websocket()
        elif url.path == "/object_info/LoadImage":
            required = {"image": [["a.png"], {"image_upload": True}], "plain": ["IMAGE"]}
            inputs = {"required": required, "optional": {"size": ["INT", {"default": 0}]}}
            self.reply({"LoadImage": {"input": inputs | {"hidden": {"prompt": "PROMPT"}}}})
        elif url.path.startswith("/object_info/"):
            self.reply({})
        elif url.path == "/features":
            self.reply({"max_upload_size": self.server.limit})
        elif url.path == "/history/p1":
            status = {"messages": self.server.messages}
            self.reply({"p1": {"status": status, "outputs": self.server.outputs}})
        elif url.path == "/view":
            self.reply(json.dumps(parse_qs(url.query)).encode())
        else:
            self.reply({}, 404)

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/upload/image":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = message_from_bytes(head + body).get_payload()
            self.server.uploads.append([part.get_payload(decode=True) for part in parts])
            self.server.uploads[-1].append(parts[1].get_filename())
            self.reply({"name": "photo (1).png", "subfolder": "sub", "type": "input"})
            return
        self.server.posts.append((self.path, json.loads(body)))
        code, answer = self.server.answer if self.path == "/prompt" else (200, {})
        self.reply(answer, code)
        self.server.queued.set()

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        self.wfile.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        self.server.queued.wait(10)
        with suppress(ConnectionError):  # a client that has heard enough
            for frame in self.server.frames:
                self.wfile.write(frame)
        if b"\x89" in [frame[:1] for frame in self.server.frames]:
            self.server.from_client = self.rfile.read(2 + 4 + 4)
        self.close_connection = True


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


def test_inputs_go_up_and_results_come_down(run, comfy, tmp_path):
    code, saved, errors = run("--set", "2.filename_prefix=y")
    assert (code, errors) == (0, [])
    assert comfy.uploads == [[b"sub", b"pixels", "photo.png"]]
    (path, body) = comfy.posts[0]
    assert path == "/prompt" and body["client_id"]
    assert body["prompt"]["1"]["inputs"] == {"image": "sub/photo (1).png"}
    assert body["prompt"]["2"]["inputs"]["filename_prefix"] == "y"
    result = tmp_path / "out" / "deep" / "x_00001_.png"
    assert saved == [str(result)]
    assert json.loads(result.read_bytes()) == {key: [value] for key, value in SAVED.items()}


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


def test_a_result_outside_the_output_folder_is_refused(run, comfy, tmp_path):
    comfy.outputs = {"2": {"images": [SAVED | {"subfolder": "../.."}]}}
    code, saved, errors = run()
    assert (code, saved) == (1, []) and "outside the output folder" in errors[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "workflow.json"]


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


def test_ctrl_c_stops_the_server_too(run, comfy, monkeypatch):
    def interrupted(self):
        comfy.queued.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(WebSocket, "messages", interrupted)
    code, _, errors = run()
    assert (code, errors) == (130, ["Stopped."])
    assert comfy.posts[1:] == [("/queue", {"delete": ["p1"]}), ("/interrupt", {"prompt_id": "p1"})]


def test_a_lost_connection_is_waited_out(run, comfy):
    comfy.frames = [event("executing", node="2")[:-5]]
    code, saved, _ = run()
    assert code == 0 and len(saved) == 1


def test_a_file_that_the_server_will_not_take(run, comfy):
    comfy.limit = 10
    code, _, errors = run()
    assert code == 1 and "--max-upload-size" in errors[0] and not comfy.uploads


def test_inputs_stay_in_the_input_folder(run, comfy, tmp_path):
    (tmp_path / "secret.png").touch()
    code, _, errors = run("--set", "1.image=../secret.png")
    assert code == 2 and "leads outside the input folder" in errors[0] and not comfy.posts


def test_no_server(run):
    code, _, errors = run(url="http://127.0.0.1:9")
    assert code == 1 and errors[0].startswith("http://127.0.0.1:9 cannot be reached: ")


def test_another_server(run, comfy):
    code, _, errors = run(url=f"{comfy.url}/other")
    assert code == 1 and errors[0].endswith("answered 404 Not Found.")


@pytest.mark.parametrize("url", ["ftp://host", "http://", ""])
def test_addresses_that_are_none(url):
    with pytest.raises(ServerError, match="is not the address of a server"):
        Server(url)


def test_websocket_messages_of_every_shape(comfy):
    long, longer = "a" * 300, "b" * 70000
    comfy.frames = [
        text(b"preview", opcode=2),
        text(b'"fir', final=False),
        text(b"ping", opcode=9),
        text(b'st"', opcode=0),
        text(long),
        text(longer),
        text(b"", opcode=8),
    ]
    comfy.queued.set()
    socket = WebSocket(f"ws://127.0.0.1:{comfy.server_port}/ws?clientId=1")
    assert [json.loads(message) for message in socket.messages()] == ["first", long, longer]
    socket.close()
    comfy.shutdown()
    head, mask, payload = comfy.from_client[:2], comfy.from_client[2:6], comfy.from_client[6:]
    assert head == bytes([0x8A, 0x84])
    assert bytes(one ^ other for one, other in zip(payload, mask, strict=True)) == b"ping"


def test_websocket_wants_a_websocket(comfy):
    with pytest.raises(ConnectionError, match="does not speak WebSocket .*404"):
        WebSocket(f"ws://127.0.0.1:{comfy.server_port}/none")
