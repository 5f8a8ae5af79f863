from fractions import Fraction
from pathlib import PurePosixPath

from ..host import SavePath, current, io, ui
from ..options import EncodeOptions
from ..pipeline import FORMATS, save_frames
from .types import encoder_input


class SaveVideoFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetSaveVideo",
            display_name="Save Video Frames",
            category="video",
            description="Puts batches of frames together into one clip, in order, with the sound.",
            search_aliases=[
                "film",
                "movie",
                "export video",
                "frames to video",
                "video combine",
            ],
            is_output_node=True,
            is_input_list=True,
            inputs=[
                io.Image.Input("frames", tooltip="Frames, in one batch or many."),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=0.01,
                    max=1000.0,
                    step=0.001,
                    tooltip="Frames a second; from Load Video Frames it is exact.",
                ),
                io.Audio.Input("audio", optional=True, tooltip="The clip's sound."),
                io.String.Input(
                    "filename_prefix",
                    default="video/ColorizationNet",
                    tooltip="Name below the output folder; a counter is added, nothing is ever "
                    "overwritten.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default="h264",
                    tooltip="Codec and container; png is a folder of pictures.",
                ),
                io.Int.Input(
                    "quality",
                    display_name="encoder quality (-1 = auto)",
                    default=-1,
                    min=-1,
                    max=100,
                    optional=True,
                    advanced=True,
                    tooltip="The encoder's own number (crf for h264, hevc, av1 and vp9: lower is "
                    "better); -1, auto, takes the format's default.",
                ),
                io.Int.Input(
                    "bit_depth",
                    default=8,
                    min=8,
                    max=16,
                    step=2,
                    optional=True,
                    advanced=True,
                    tooltip="Bits a channel where the format has the choice.",
                ),
                io.Float.Input(
                    "pixel_aspect",
                    default=1.0,
                    min=0.01,
                    max=100.0,
                    step=0.001,
                    optional=True,
                    advanced=True,
                    tooltip="How much wider than high a pixel is shown: 1 for square ones; from "
                    "Load Video Frames it is the clip's own.",
                ),
                encoder_input(),
            ],
            outputs=[io.Video.Output("video")],
        )

    @classmethod
    def execute(
        cls,
        frames,
        fps,
        filename_prefix,
        format,
        audio=(None,),
        quality=(-1,),
        bit_depth=(8,),
        pixel_aspect=(1.0,),
        encoder=("software",),
    ) -> io.NodeOutput:
        host = current()
        entry = FORMATS[format[0]]
        height, width = frames[0].shape[1:3]
        saved = host.output_path(filename_prefix[0], entry.suffix, width, height)
        preview = None
        if not entry.browser_playable:
            preview = host.output_path("preview", ".mp4", folder="temp")
        with host.progress(sum(map(len, frames))) as progress:
            save_frames(
                frames,
                saved.path,
                fps[0],
                EncodeOptions(
                    format[0],
                    None if quality[0] < 0 else quality[0],
                    bit_depth[0],
                    host.metadata(cls),
                    encoder=encoder[0],
                ),
                sound=_samples(audio[0]),
                sample_aspect_ratio=Fraction(pixel_aspect[0]).limit_denominator(10_000),
                preview=preview and preview.path,
                on_progress=progress.report,
                check=host.check_cancelled,
            )
        video = None if saved.path.is_dir() else host.video_from_file(saved.path)
        return io.NodeOutput(video, ui=_preview(saved, preview or saved))


def _samples(audio):
    return None if audio is None else (audio["waveform"][0].cpu().numpy(), audio["sample_rate"])


def _preview(saved: SavePath, shown: SavePath):
    kind = io.FolderType(saved.type)
    if saved.path.is_dir():
        folder = str(PurePosixPath(saved.subfolder, saved.filename))
        names = sorted(file.name for file in saved.path.iterdir())
        return ui.SavedImages([ui.SavedResult(name, folder, kind) for name in names])
    # What is listed here is also what a client of the host's API finds as the result.
    results = [_result(path) for path in dict.fromkeys((shown, saved))]
    if saved.path.suffix in (".gif", ".webp"):
        return ui.SavedImages(results, is_animated=True)
    return ui.PreviewVideo(results)


def _result(saved: SavePath):
    return ui.SavedResult(saved.filename, saved.subfolder, io.FolderType(saved.type))
