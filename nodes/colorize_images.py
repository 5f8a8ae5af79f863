from ..host import current, io
from ..pipeline import colorize_images
from .types import (
    ColorizationModel,
    check_saturation,
    color_options,
    colour_inputs,
    look_input,
    quality_input,
)

MODES = {"keep luma": "merge", "network RGB": "network"}


class ColorizeImages(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetColorizeImages",
            display_name="Colorize Images",
            category="image/color",
            description="Gives pictures colour and keeps their luminance exactly as it is. For "
            "long clips use Colorize Video, which needs no memory for the frames.",
            search_aliases=[
                "color",
                "colour",
                "colorize",
                "colorise",
                "black and white",
                "b&w",
                "grayscale",
                "sepia",
                "old photo",
                "restore",
                "restore photo",
                "deoldify",
                "ddcolor",
            ],
            inputs=[
                ColorizationModel.Input("model", tooltip="From Load ColorizationNet or Teach."),
                io.Image.Input(
                    "images", tooltip="Pictures of any size; colour ones are judged by their luma."
                ),
                *colour_inputs(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where the colour goes (white); one mask for all pictures or one each.",
                ),
                quality_input(),
                io.Combo.Input(
                    "output",
                    options=list(MODES),
                    default="keep luma",
                    optional=True,
                    advanced=True,
                    tooltip="network RGB is the network's own picture, without the source's "
                    "luminance.",
                ),
                look_input(),
            ],
            outputs=[io.Image.Output(display_name="images")],
        )

    @classmethod
    def validate_inputs(cls, saturation=1.0):
        return check_saturation(saturation)

    @classmethod
    def execute(
        cls,
        model,
        images,
        render_size,
        strength,
        saturation,
        mask=None,
        quality="auto",
        output="keep luma",
        look="natural",
    ) -> io.NodeOutput:
        host = current()
        options = color_options(
            model, render_size, strength, saturation, quality, MODES[output], look
        )
        network = model.load(options, *images.shape[:3])
        with host.progress(len(images)) as progress:
            colored = colorize_images(
                network,
                images,
                options,
                mask=mask,
                device=host.device(),
                on_progress=progress.report,
                check=host.check_cancelled,
            )
        return io.NodeOutput(host.to_output(colored))
