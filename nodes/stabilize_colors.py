from itertools import chain

import torch

from ..host import current, io
from ..options import FilmOptions
from ..pipeline import stabilize_images
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
            search_aliases=[
                "flicker",
                "deflicker",
                "stabilize",
                "stabilise",
                "temporal",
                "color",
                "colour",
                "film",
                "movie",
            ],
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
        host = current()
        batches = [torch.empty_like(batch) for batch in frames]
        with host.progress(sum(map(len, frames))) as progress:
            stabilized = stabilize_images(
                frames,
                FilmOptions(stability[0]),
                on_progress=progress.report,
                check=host.check_cancelled,
            )
            for target, frame in zip(chain.from_iterable(batches), stabilized, strict=True):
                target.copy_(frame)
        return io.NodeOutput(batches)
