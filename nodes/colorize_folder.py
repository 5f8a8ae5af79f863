import logging
from pathlib import Path

from ..host import current, io, ui
from ..pipeline import PhotoError, result_paths, result_suffix
from ..pipeline.photo import PHOTO_SUFFIXES, paint_photo, photo_colorizer
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
MOST_NAMES = 3  # of what is passed over
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
                    "the output folder. Folders in it are left out.",
                ),
                io.String.Input(
                    "output_folder",
                    default="colorized/album",
                    tooltip="Where the coloured photos go, below the output folder.",
                ),
                *colour_inputs(),
                quality_input(),
                look_input(),
                io.Boolean.Input(
                    "skip_colour",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Leave out photos that are in colour already; otherwise they get the "
                    "network's colours for their own.",
                ),
            ],
            outputs=[],
        )

    @classmethod
    def validate_inputs(cls, folder=None, saturation=1.0):
        is_sound = check_folder(folder, PHOTO_SUFFIXES)
        return check_saturation(saturation) if is_sound is True else is_sound

    @classmethod
    def fingerprint_inputs(cls, folder, output_folder, **_):
        """Another also where a result has been deleted since."""
        missing = [
            file.name for file, result in _results(folder, output_folder) if not result.exists()
        ]
        return folder_state(folder, PHOTO_SUFFIXES), missing

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
        skip_colour=False,
    ) -> io.NodeOutput:
        host = current()
        options = color_options(model, render_size, strength, saturation, quality, look=look)
        network = model.load(options, 1, TYPICAL, TYPICAL)
        results = _results(folder, output_folder)
        source, result = results[0]
        target = result.parent
        if target.resolve() == source.parent.resolve():
            raise ValueError("The coloured photos cannot lie among the photos; choose another one.")
        check, record = host.check_cancelled, host.metadata(cls)
        colorize = photo_colorizer(network, options, device=host.device(), check=check)
        _tell_of_others(source.parent)
        made: list[Path] = []
        in_colour = 0
        failed: list[str] = []
        with host.progress(len(results)) as progress:
            for done, (file, result) in enumerate(results, 1):
                try:
                    if (
                        result.exists()
                        or paint_photo(
                            file,
                            result,
                            colorize,
                            skip_color=skip_colour,
                            record=record,
                            check=check,
                        ).path
                    ):
                        made.append(result)
                    else:
                        in_colour += 1
                except PhotoError as error:
                    log.warning("%s", error)
                    failed.append(str(error))
                progress.report(done, len(results), None)
        if len(failed) == len(results):
            raise ValueError(failed[0])
        if in_colour:
            log.info("%s: %d photos left, for they are in colour", source.parent, in_colour)
        place = target.resolve().relative_to(host.output_folder(".").resolve()).as_posix()
        shown: list[ui.SavedResult] = []
        others: list[ui.SavedResult] = []  # told of, but no page would show them
        for file in made:
            saved = ui.SavedResult(file.name, place, io.FolderType.output)
            (shown if file.suffix.lower() in SHOWN else others).append(saved)
        return io.NodeOutput(ui=ui.SavedImages(shown).as_dict() | {"files": others})


def _tell_of_others(folder: Path) -> None:
    """Log what is passed over, for a folder of photos that looks done may not be."""
    names = [
        path.name + ("/" if path.is_dir() else "")
        for path in sorted(folder.iterdir())
        if path.name[0] != "." and (path.is_dir() or path.suffix.lower() not in PHOTO_SUFFIXES)
    ]
    if names:
        more = len(names) - MOST_NAMES
        listed = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        log.warning("%s: no photos, and passed over: %s", folder, listed)


def _results(folder: str, output_folder: str) -> list[tuple[Path, Path]]:
    """The photos of the folder, each with its result."""
    host = current()
    files = host.folder_files(folder, "image", PHOTO_SUFFIXES)
    target = host.output_folder(output_folder)
    wanted = [(file, target, result_suffix(file)[0]) for file in files]
    return list(zip(files, result_paths(wanted), strict=True))
