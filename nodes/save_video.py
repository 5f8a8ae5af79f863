from contextlib import nullcontext
from pathlib import PurePosixPath

from .. import host
from ..host import io, ui
from ..pipeline.frames import to_frames, to_images
from ..video import FORMATS, FrameWriter

SHOWN = ("h264", "av1", "vp9", "gif", "webp", "png")  # by browsers; others get a proxy to look at


class SaveVideoFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetSaveVideo",
            display_name="Save Video Frames",
            category="video",
            description="Puts batches of frames together into one clip, in order, with the sound.",
            search_aliases=["export video", "frames to video", "video combine"],
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
                    default=-1,
                    min=-1,
                    max=100,
                    optional=True,
                    tooltip="The encoder's own number (crf for h264, hevc, av1 and vp9: lower is "
                    "better); -1 takes the format's default.",
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
            ],
            outputs=[io.Video.Output("video")],
        )

    @classmethod
    def execute(
        cls, frames, fps, filename_prefix, format, audio=(None,), quality=(-1,), bit_depth=(8,)
    ) -> io.NodeOutput:
        entry = FORMATS[format[0]]
        depth = entry.depth_for(bit_depth[0])
        shape = frames[0].shape[1:]
        if different := [batch.shape[1:] for batch in frames if batch.shape[1:] != shape]:
            raise ValueError(
                f"The frames have more than one size, {tuple(shape)} and {tuple(different[0])}; "
                "bring them to one size first."
            )
        height, width, channels = shape
        if channels not in (3, 4):
            raise ValueError(f"The frames have {channels} channels; make them RGB or RGBA first.")
        saved = host.output_path(filename_prefix[0], entry.suffix, width, height)
        shown = saved if format[0] in SHOWN else host.output_path("preview", ".mp4", folder="temp")
        with (
            host.Progress(sum(map(len, frames))) as progress,
            _proxy(shown, width, height, fps[0]) if shown != saved else nullcontext() as proxy,
            FrameWriter(
                saved.path,
                width,
                height,
                fps[0],
                format=format[0],
                quality=None if quality[0] < 0 else quality[0],
                bit_depth=depth,
                alpha=channels == 4 and entry.alpha,
                audio=_samples(audio[0]),
                metadata=host.metadata(cls),
                check=host.check_cancelled,
            ) as writer,
        ):
            for batch in frames:
                pictures = batch if entry.alpha else batch[..., :3]
                for frame in to_frames(pictures, depth):
                    writer.write(frame)
                    if proxy:
                        proxy.write(next(to_frames(to_images(frame[..., :3]), 8)))
                    progress.update()
        return io.NodeOutput(_video(saved), ui=_preview(saved, shown))


def _proxy(shown: host.SavePath, width: int, height: int, fps: float) -> FrameWriter:
    return FrameWriter(shown.path, width, height, fps, quality=28, check=host.check_cancelled)


def _samples(audio):
    return None if audio is None else (audio["waveform"][0].cpu().numpy(), audio["sample_rate"])


def _video(saved: host.SavePath):
    return None if saved.path.is_dir() else host.video_from_file(saved.path)


def _preview(saved: host.SavePath, shown: host.SavePath):
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


def _result(saved: host.SavePath):
    return ui.SavedResult(saved.filename, saved.subfolder, io.FolderType(saved.type))
