"""Workflows in process: ComfyUI's semantics for links, lists, validation and output nodes."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.headless.standin.graph import Graph
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.headless.standin.schema import DynamicCombo
from colorizationnet.headless.standin.workflow import NodeError, WorkflowError
from colorizationnet.host import current, io
from PIL import Image
from tqdm import tqdm

calls = []


@pytest.fixture(autouse=True)
def forget_calls():
    calls.clear()


class Count(io.ComfyNode):
    """A list of numbers."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Count",
            inputs=[
                io.Int.Input("size", default=3, min=0, max=10),
                io.Float.Input("scale", default=1.0, min=0.0, max=2.0, optional=True),
            ],
            outputs=[io.Int.Output("numbers", is_output_list=True), io.String.Output("name")],
        )

    @classmethod
    def execute(cls, size, scale=1.0):
        calls.append("Count")
        return io.NodeOutput([int(index * scale) for index in range(size)], "counted")


class Add(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Add",
            display_name="Add Numbers",
            inputs=[
                io.Int.Input("a", default=0),
                io.Int.Input("b", default=0),
                io.Combo.Input("mode", options=["plus", "minus"], default="plus"),
            ],
            outputs=[io.Int.Output()],
        )

    @classmethod
    def execute(cls, a, b, mode):
        calls.append(("Add", a, b))
        return io.NodeOutput(a + b if mode == "plus" else a - b)


class Show(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Show", inputs=[io.AnyType.Input("value")], outputs=[], is_output_node=True
        )

    @classmethod
    def execute(cls, value):
        return io.NodeOutput(ui={"values": [value], "prompt": [cls.hidden.prompt]})


class Gather(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Gather",
            inputs=[io.Int.Input("numbers"), io.String.Input("label", default="all")],
            outputs=[io.Int.Output()],
            hidden=[io.Hidden.unique_id],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def execute(cls, numbers, label):
        text = f"{cls.hidden.unique_id}: {label} {numbers}"
        return io.NodeOutput(sum(numbers), ui={"text": [text]})


class Checked(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Checked",
            inputs=[
                io.Combo.Input("file", options=[]),
                io.Int.Input("even", default=0, min=0, max=10),
            ],
            outputs=[io.String.Output()],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, file, even):
        if file == "missing.png":
            return "There is no file missing.png."
        return even is None or even % 2 == 0

    @classmethod
    def execute(cls, file, even):
        return io.NodeOutput(file, ui={"values": [file, even]})


class Fail(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Fail", display_name="Fail Here", inputs=[], is_output_node=True)

    @classmethod
    def execute(cls):
        raise ValueError("film.mp4 is torn;\n  mend it.")


NODES = [Count, Add, Show, Gather, Checked, Fail]


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def graph(prompt, nodes=NODES):
    return Graph(prompt, nodes, StandInHost())


def run(**prompt):
    return graph(prompt).run()


def problems(**prompt):
    with pytest.raises(WorkflowError) as caught:
        graph(prompt)
    assert not calls, "nothing may run before the whole workflow is known to be sound"
    return str(caught.value).splitlines()


def test_links_carry_values():
    shown = run(
        n1=node("Add", a=2, b=3, mode="plus"),
        n2=node("Add", a=["n1", 0], b=1, mode="minus"),
        n3=node("Show", value=["n2", 0]),
    )
    assert shown["n3"]["values"] == [4]


def test_a_node_runs_once_for_each_element_and_short_lists_repeat_their_last():
    shown = run(
        long=node("Count", size=4),
        short=node("Count", size=2, scale=2.0),
        sums=node("Add", a=["long", 0], b=["short", 0], mode="plus"),
        out=node("Show", value=["sums", 0]),
    )
    assert shown["out"]["values"] == [0 + 0, 1 + 2, 2 + 2, 3 + 2]


def test_an_input_list_node_runs_once_with_everything():
    shown = run(
        numbers=node("Count", size=4), out=node("Gather", numbers=["numbers", 0], label="all")
    )
    assert shown["out"]["text"] == ["out: ['all'] [0, 1, 2, 3]"]


def test_an_empty_list_is_named():
    with pytest.raises(NodeError, match=r"Node out \(Show\) got an empty list on its input value"):
        run(numbers=node("Count", size=0), out=node("Show", value=["numbers", 0]))


def test_each_node_runs_once_and_only_what_outputs_need():
    run(
        shared=node("Count", size=1),
        one=node("Add", a=["shared", 0], b=["shared", 0], mode="plus"),
        left=node("Show", value=["one", 0]),
        right=node("Show", value=["shared", 0]),
        idle=node("Add", a=5, b=5, mode="plus"),
    )
    assert calls == ["Count", ("Add", 0, 0)]


def test_results_are_freed_after_their_last_reader():
    alive = []

    class Make(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Make", inputs=[], outputs=[io.Image.Output()])

        @classmethod
        def execute(cls):
            image = torch.zeros(1, 2, 2, 3)
            alive.append(weakref.ref(image))
            return io.NodeOutput(image)

    class Read(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="Read", inputs=[io.Image.Input("image")], outputs=[io.Int.Output()]
            )

        @classmethod
        def execute(cls, image):
            return io.NodeOutput(image.numel())

    class Last(Show):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="Last",
                inputs=[io.Int.Input("value")],
                is_output_node=True,
            )

        @classmethod
        def execute(cls, value):
            gc.collect()
            return io.NodeOutput(ui={"freed": [alive[0]() is None], "value": [value]})

    prompt = {
        "1": node("Make"),
        "2": node("Read", image=["1", 0]),
        "3": node("Last", value=["2", 0]),
    }
    shown = graph(prompt, [Make, Read, Last]).run()
    assert shown["3"] == {"freed": [True], "value": [12]}


def test_hidden_inputs_and_inference_mode():
    prompt = {"1": node("Show", value=["2", 0]), "2": node("Count", size=1)}
    assert graph(prompt).run()["1"]["prompt"] == [prompt]

    class Mode(Show):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Mode", inputs=[], is_output_node=True)

        @classmethod
        def execute(cls):
            return io.NodeOutput(ui={"inference": [torch.is_inference_mode_enabled()]})

    assert graph({"1": node("Mode")}, [Mode]).run()["1"] == {"inference": [True]}
    assert Mode.hidden is None, "a run leaves the node class as it was"


def test_values_become_the_type_of_their_input():
    shown = run(
        n1=node("Add", a="2", b=3.0, mode="plus"),
        n2=node("Show", value=["n1", 0]),
    )
    assert shown["n2"]["values"] == [5]


def test_inputs_that_a_node_does_not_have_are_ignored_as_in_comfyui():
    assert run(n=node("Gather", numbers=["c", 0], label="", extra=1), c=node("Count", size=1))


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"b": 1, "mode": "plus"}, "Node n (Add): the input a is missing."),
        (
            {"a": "two", "b": 1, "mode": "plus"},
            "Node n (Add): the input a is 'two', which is no INT.",
        ),
        (
            {"a": 2, "b": 1, "mode": "times"},
            "Node n (Add): the input mode is 'times'; choose one of: plus, minus.",
        ),
        (
            {"a": ["gone", 0], "b": 1, "mode": "plus"},
            "Node n (Add): the input a is linked to node gone, which is missing.",
        ),
        (
            {"a": ["c", 7], "b": 1, "mode": "plus"},
            "Node n (Add): the input a is linked to output 7 of Node c (Count), which has 2.",
        ),
        (
            {"a": ["c", 1], "b": 1, "mode": "plus"},
            "Node n (Add): the input a takes INT, but is linked to STRING of Node c (Count).",
        ),
    ],
)
def test_a_wrong_input_is_one_sentence(inputs, sentence):
    found = problems(
        c=node("Count", size=1), n=node("Add", **inputs), out=node("Show", value=["n", 0])
    )
    assert found == [sentence]


@pytest.mark.parametrize(
    ("size", "scale", "sentences"),
    [
        (11, 1.0, ["the input size is 11; choose a value from 0 to 10."]),
        (-1, 1.0, ["the input size is -1; choose a value from 0 to 10."]),
        (1, float("nan"), ["the input scale is nan, which is no FLOAT."]),
        (float("inf"), 1.0, ["the input size is inf, which is no INT."]),
        (
            99,
            9.0,
            [
                "the input size is 99; choose a value from 0 to 10.",
                "the input scale is 9.0; choose a value from 0.0 to 2.0.",
            ],
        ),
    ],
)
def test_values_out_of_range(size, scale, sentences):
    found = problems(n=node("Count", size=size, scale=scale), out=node("Show", value=["n", 0]))
    assert found == [f"Node n (Count): {sentence}" for sentence in sentences]


def test_a_socket_without_a_widget_needs_a_link():
    class Picture(Show):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="Picture", inputs=[io.Image.Input("image")], is_output_node=True
            )

    with pytest.raises(WorkflowError, match="the input image needs a link that gives IMAGE"):
        graph({"1": node("Picture", image="a.png")}, [Picture])


def test_a_nodes_own_check_replaces_the_hosts():
    assert run(n=node("Checked", file="not in the list", even=42))["n"]["values"][1] == 42
    assert problems(n=node("Checked", file="missing.png", even=0)) == [
        "Node n (Checked): There is no file missing.png."
    ]
    assert problems(n=node("Checked", file="a.png", even=3)) == [
        "Node n (Checked): its inputs are not valid."
    ]


def test_a_nodes_own_check_sees_none_for_a_link():
    shown = run(c=node("Count", size=1), n=node("Checked", file="a.png", even=["c", 0]))
    assert shown["n"]["values"] == ["a.png", 0]


class Choose(io.ComfyNode):
    """A choice with inputs of its own, one of them a choice again."""

    @classmethod
    def define_schema(cls):
        deep = DynamicCombo.Option("deep", [io.Int.Input("depth", min=0, max=9)])
        inner = DynamicCombo.Input("way", [DynamicCombo.Option("flat", []), deep], optional=True)
        return io.Schema(
            node_id="Choose",
            inputs=[
                DynamicCombo.Input(
                    "kind",
                    [
                        DynamicCombo.Option("none", []),
                        DynamicCombo.Option("one", [io.Float.Input("size"), inner]),
                    ],
                )
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, kind):
        return io.NodeOutput(ui={"values": [kind]})


@pytest.mark.parametrize(
    ("inputs", "value"),
    [
        ({"kind": "none", "kind.size": 3}, {"kind": "none"}),
        ({"kind": "one", "kind.size": 3}, {"kind": "one", "size": 3.0}),
        (
            {"kind": "one", "kind.size": 3, "kind.way": "deep", "kind.way.depth": "2"},
            {"kind": "one", "size": 3.0, "way": {"way": "deep", "depth": 2}},
        ),
    ],
)
def test_a_choice_brings_its_own_inputs(inputs, value):
    assert graph({"1": node("Choose", **inputs)}, [Choose]).run()["1"]["values"] == [value]


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({}, "the input kind is missing"),
        ({"kind": "two"}, "the input kind is 'two'; choose one of: none, one"),
        ({"kind": "one"}, "the input kind.size is missing"),
        (
            {"kind": "one", "kind.size": 1, "kind.way": "deep", "kind.way.depth": 10},
            "the input kind.way.depth is 10; choose a value from 0 to 9",
        ),
    ],
)
def test_a_wrong_input_of_a_choice_is_named_in_full(inputs, problem):
    with pytest.raises(WorkflowError) as caught:
        graph({"1": node("Choose", **inputs)}, [Choose])
    assert str(caught.value) == f"Node 1 (Choose): {problem}."


def test_unknown_nodes_are_all_named():
    found = problems(a=node("KSampler"), b=node("Show", value=["a", 0]), c=node("VAEDecode"))
    assert [line.split(":")[0] for line in found] == ["Node a (KSampler)", "Node c (VAEDecode)"]


def test_a_circle_is_named():
    found = problems(
        a=node("Add", a=["b", 0], b=0, mode="plus"),
        b=node("Add", a=["a", 0], b=0, mode="plus"),
        out=node("Show", value=["a", 0]),
    )
    assert found == ["The workflow runs in a circle: Node a (Add) -> Node b (Add) -> Node a (Add)."]


def test_a_workflow_without_output_is_refused():
    assert problems(a=node("Count", size=1)) == [
        "The workflow has no output node, so there is nothing to run."
    ]


def test_a_failing_node_is_named_in_one_line():
    with pytest.raises(NodeError) as caught:
        run(n=node("Fail"))
    assert str(caught.value) == "Node n (Fail Here) failed: film.mp4 is torn; mend it."


def test_the_bar_of_a_node_is_called_by_its_number_and_the_users_title(monkeypatch):
    bars = []

    class Work(Show):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="Work", inputs=[io.Int.Input("numbers")], outputs=[io.Int.Output()]
            )

        @classmethod
        def execute(cls, numbers):
            with current().progress(3) as progress:
                progress.report(1, 3)
            return io.NodeOutput(numbers)

    monkeypatch.setattr(
        "colorizationnet.headless.standin.host.tqdm",
        lambda **options: bars.append(options["desc"]) or tqdm(**options),
    )
    prompt = {
        "7": node("Count", size=1),
        "8": node("Work", numbers=["7", 0]) | {"_meta": {"title": "My numbers"}},
        "9": node("Show", value=["8", 0]),
    }
    graph(prompt, [*NODES, Work]).run()
    assert bars == ["[2/3] My numbers"]


def test_two_graphs_with_folders_of_their_own_run_at_the_same_time(tmp_path):
    """Each waits inside a node until the other is there too."""
    barrier = threading.Barrier(2, timeout=60)

    class Meet(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="Meet",
                inputs=[io.Image.Input("image")],
                outputs=[io.Image.Output(), io.String.Output()],
            )

        @classmethod
        def execute(cls, image):
            barrier.wait()
            temp = current().output_path("any", ".png", folder="temp").path.parent
            return io.NodeOutput(image, str(temp))

    def work(name):
        host = StandInHost(tmp_path / name, tmp_path / name / "done", tmp_path / name)
        prompt = {
            "1": node("LoadImage", image="photo.png"),
            "2": node("Meet", image=["1", 0]),
            "3": node("SaveImage", images=["2", 0], filename_prefix="out"),
            "4": node("Show", value=["2", 1]),
        }
        shown = Graph(prompt, [*CORE_NODES, Meet, Show], host).run()
        return shown["3"]["images"], shown["4"]["values"][0]

    colors = {"red": (255, 0, 0), "blue": (0, 0, 255)}
    for name, color in colors.items():
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 3), color).save(tmp_path / name / "photo.png")
    with ThreadPoolExecutor(2) as pool:
        (red, temp), (blue, other_temp) = pool.map(work, colors)
    assert red == blue == [{"filename": "out_00001_.png", "subfolder": "", "type": "output"}]
    assert temp != other_temp
    for name, color in colors.items():
        with Image.open(tmp_path / name / "done" / "out_00001_.png") as image:
            assert image.getpixel((0, 0)) == color
