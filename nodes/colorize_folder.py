import logging
from pathlib import Path

from ..host import current, io, ui
from ..pipeline import PhotoError, colorize_photo, result_paths, result_suffix
from .types import (
    ColorizationModel,
    check_folder,
    check_saturation,
    color_options,
    colour_inputs,
    folder_state,
    look_input,
    quality_input,
)

log = logging.getLogger(__name__)

SHOWN = {".png", ".jpg", ".jpeg", ".webp"}  # what a browser shows
TYPICAL = 2048  # pixels a side, for the memory that a photo may need


class ColorizeFolder(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetColorizeFolder",
            display_name="Colorize Photo Folder",
            category="image/color",
            description="Colorizes every photo of a folder, of any sizes, into another folder "
            "under the same names, with their depth, profile and metadata. What is there already "
            "is left, so that a second run goes on where the first was stopped.",
            search_aliases=[
                "album",
                "batch photos",
                "photo folder",
                "colorize folder",
                "old photos",
                "restore photos",
            ],
            is_output_node=True,
            inputs=[
                ColorizationModel.Input("model", tooltip="From Load ColorizationNet or Teach."),
                io.String.Input(
                    "folder",
                    default="colorizationnet_album",
                    tooltip="A folder below the input folder; with [output] behind its name, below "
                    "the output folder.",
                ),
                io.String.Input(
                    "output_folder",
                    default="colorized/album",
                    tooltip="Where the coloured photos go, below the output folder.",
                ),
                *colour_inputs(),
                quality_input(),
                look_input(),
            ],
            outputs=[],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(cls, folder=None, saturation=1.0):
        is_sound = check_folder(folder)
        return check_saturation(saturation) if is_sound is True else is_sound

    @classmethod
    def fingerprint_inputs(cls, folder, output_folder, **_):
        """Another also where a result has been deleted since."""
        missing = [
            file.name for file, result in _results(folder, output_folder) if not result.exists()
        ]
        return folder_state(folder), missing

    @classmethod
    def execute(
        cls,
        model,
        folder,
        output_folder,
        render_size,
        strength,
        saturation,
        quality="auto",
        look="natural",
    ) -> io.NodeOutput:
        host = current()
        options = color_options(model, render_size, strength, saturation, quality, look=look)
        network = model.load(options, 1, TYPICAL, TYPICAL)
        results = _results(folder, output_folder)
        source, result = results[0]
        target = result.parent
        if target.resolve() == source.parent.resolve():
            raise ValueError("The coloured photos cannot lie among the photos; choose another one.")
        record = host.metadata(cls)
        made: list[Path] = []
        failed: list[str] = []
        with host.progress(len(results)) as progress:
            for done, (file, result) in enumerate(results, 1):
                try:
                    if not result.exists():
                        colorize_photo(
                            file,
                            result,
                            network,
                            options,
                            record=record,
                            device=host.device(),
                            check=host.check_cancelled,
                        )
                    made.append(result)
                except PhotoError as error:
                    log.warning("%s", error)
                    failed.append(str(error))
                progress.report(done, len(results), None)
        if not made:
            raise ValueError(failed[0])
        place = target.resolve().relative_to(host.output_folder(".").resolve()).as_posix()
        shown = [
            ui.SavedResult(file.name, place, io.FolderType.output)
            for file in made
            if file.suffix.lower() in SHOWN
        ]
        return io.NodeOutput(ui=ui.SavedImages(shown))


def _results(folder: str, output_folder: str) -> list[tuple[Path, Path]]:
    """The photos of the folder, each with its result."""
    host = current()
    files, target = host.folder_files(folder, "image"), host.output_folder(output_folder)
    wanted = [(file, target, result_suffix(file)[0]) for file in files]
    return list(zip(files, result_paths(wanted), strict=True))
