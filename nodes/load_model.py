from ..host import current, io
from ..options import PRECISIONS
from ..pipeline import load_model
from .types import ColorizationModel, Model


class LoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetLoadModel",
            display_name="Load ColorizationNet",
            category="model/loaders",
            description="Loads the colorization network: the weights that come with the pack, or "
            "a .safetensors file from models/colorization.",
            search_aliases=[
                "colorize",
                "colorise",
                "deoldify",
                "ddcolor",
            ],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=current().model_names(),
                    default=current().model_names()[0],
                    tooltip="The shipped weights, or your own in models/colorization.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    tooltip="Number format of the network's arithmetic; auto takes what the "
                    "device does best.",
                ),
            ],
            outputs=[ColorizationModel.Output(display_name="model")],
        )

    @classmethod
    def fingerprint_inputs(cls, model_name, **_):
        file = current().model_path(model_name).stat()
        return file.st_mtime_ns, file.st_size

    @classmethod
    def execute(cls, model_name, precision) -> io.NodeOutput:
        host = current()
        network = load_model(host.model_path(model_name))
        return io.NodeOutput(Model(model_name, network, host.wrap_model(network), precision))
