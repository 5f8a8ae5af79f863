import torch

from ..host import current, io
from ..pipeline import in_order, read_photo
from .types import check_folder, folder_state


class LoadKeyframes(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetLoadKeyframes",
            display_name="Load Keyframes",
            category="video",
            description="Reads the pictures of a folder in the order of the frames, times or "
            "numbers in their names: keyframes that were saved, coloured in another program and "
            "come back.",
            search_aliases=["keyframe", "keyframes", "load images from folder", "load folder"],
            inputs=[
                io.String.Input(
                    "folder",
                    default="keyframes [output]",
                    tooltip="A folder below the output folder, as Save Image makes it with the "
                    "prefix keyframes/frame; without [output] it is below the input folder.",
                ),
            ],
            outputs=[
                io.Image.Output("keyframes", tooltip="All pictures in one batch, in order."),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder=None):
        return check_folder(folder)

    @classmethod
    def fingerprint_inputs(cls, folder):
        return folder_state(folder)

    @classmethod
    def execute(cls, folder) -> io.NodeOutput:
        host = current()
        files = in_order(host.folder_files(folder, "image"))
        images = []
        with host.progress(len(files)) as progress:
            for done, file in enumerate(files, 1):
                images.append(read_photo(file).image)
                if images[-1].shape != images[0].shape:
                    height, width = images[-1].shape[:2]
                    raise ValueError(
                        f"{file.name} is {width}x{height} and {files[0].name} is "
                        f"{images[0].shape[1]}x{images[0].shape[0]}; give all one size."
                    )
                progress.report(done, len(files), None)
        return io.NodeOutput(host.to_output(torch.stack(images)))
