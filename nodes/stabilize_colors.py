import torch

from .. import host
from ..host import io
from ..pipeline.stabilize import Stabilizer
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
        batches = [torch.empty_like(batch) for batch in frames]
        targets = (frame for batch in batches for frame in batch)
        with host.Progress(sum(map(len, frames))) as progress:

            def put(ready):
                for frame in ready:
                    next(targets).copy_(frame)
                    progress.update(preview=frame)

            for batch in frames:
                for index in range(len(batch)):
                    put(stabilizer(batch[index : index + 1]))
                    host.check_cancelled()
            put(stabilizer.finish())
        return io.NodeOutput(batches)
