import torch

from .. import host
from ..host import io
from ..model import Stabilizer
from .types import stability_input


class StabilizeColors(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetStabilizeColors",
            display_name="Stabilize Colors",
            category="image/color",
            description="Takes the flicker out of a coloured clip, whichever colorizer made it, "
            "and leaves its luminance as it is.",
            search_aliases=["deflicker", "temporal", "flicker"],
            is_input_list=True,
            inputs=[
                io.Image.Input(
                    "frames", tooltip="The clip's frames in order, in one batch or many."
                ),
                stability_input(),
            ],
            outputs=[io.Image.Output("frames", is_output_list=True)],
        )

    @classmethod
    def execute(cls, frames, stability) -> io.NodeOutput:
        stabilizer = Stabilizer(stability[0])
        batches = []
        with host.Progress(sum(map(len, frames))) as progress:
            for batch in frames:
                steady = torch.empty_like(batch)
                for index in range(len(batch)):
                    steady[index] = stabilizer(batch[index : index + 1])[0]
                    progress.update(preview=steady[index])
                batches.append(steady)
        return io.NodeOutput(batches)
