import logging

import torch

from .. import host
from ..host import io
from ..host.paths import SUFFIXES
from ..pipeline.frames import refuse_if_too_large, regroup, to_images
from ..video import count_frames, exact_rate, probe, read_audio, read_frames

log = logging.getLogger(__name__)

PREVIEW_WIDTH = 512  # px, or somewhat more


class LoadVideoFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetLoadVideo",
            display_name="Load Video Frames",
            category="video",
            description="Splits a clip into batches of frames; the nodes behind run once a batch. "
            "Every frame stays in memory: for long clips use Colorize Video.",
            search_aliases=["import video", "split video", "video to frames"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=host.input_files("video"),
                    upload=io.UploadType.video,
                    tooltip="A clip in the input folder.",
                ),
                io.Int.Input(
                    "start_frame",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    tooltip="The first frame to load, counted from 0.",
                ),
                io.Int.Input(
                    "frame_count",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    tooltip="How many frames to load; 0 loads all to the end.",
                ),
                io.Int.Input(
                    "frame_step",
                    default=1,
                    min=1,
                    max=1000,
                    tooltip="Load every n-th frame only; the frame rate falls with it.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=16,
                    min=1,
                    max=4096,
                    tooltip="Frames in one batch.",
                ),
                io.Float.Input(
                    "rate",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.001,
                    optional=True,
                    advanced=True,
                    tooltip="Frames a second to bring the clip to, by time. 0 keeps every frame "
                    "once; those of a clip with a variable rate are then repeated so that each is "
                    "shown at its own time.",
                ),
                io.Int.Input(
                    "short_side",
                    default=0,
                    min=0,
                    max=8192,
                    optional=True,
                    advanced=True,
                    tooltip="Scale frames so that their short side has this many pixels; 0 keeps "
                    "the clip's own size.",
                ),
                io.Boolean.Input(
                    "keep_alpha",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Give four channels where the clip has transparency.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "frames", is_output_list=True, tooltip="Batches of frames, in order."
                ),
                io.Audio.Output("audio", tooltip="The sound of the loaded part, if there is any."),
                io.Float.Output("fps", tooltip="Frames a second."),
                io.Int.Output("frame_count", tooltip="How many frames were loaded."),
            ],
        )

    @classmethod
    def validate_inputs(cls, file):
        try:
            path = host.input_path(file)
        except (OSError, ValueError) as error:
            return str(error)
        # A playlist would make ffmpeg read the files that it names, wherever they are.
        if path.suffix.lower() not in SUFFIXES["video"]:
            return f"{path.name} is no clip by its suffix; rename it if it is one."
        return True

    @classmethod
    def fingerprint_inputs(cls, file, **_):
        stat = host.input_path(file).stat()
        return stat.st_mtime_ns, stat.st_size

    @classmethod
    def execute(
        cls,
        file,
        start_frame,
        frame_count,
        frame_step,
        batch_size,
        rate=0.0,
        short_side=0,
        keep_alpha=False,
    ) -> io.NodeOutput:
        clip = probe(host.input_path(file), host.check_cancelled)
        rate = exact_rate(rate) if rate else None
        if clip.variable_rate and not rate:
            rate = clip.steady_rate
            log.warning(
                "%s has a variable frame rate, which batches cannot carry: its frames are repeated "
                "to make %.6g a second. Colorize Video keeps every time.",
                file,
                rate,
            )
        fps = rate or clip.fps
        channels = 4 if keep_alpha and clip.has_alpha else 3
        width, height = scaled_size(clip, short_side)
        wanted = count_frames(clip, start_frame, frame_count or None, frame_step, rate)
        refuse_if_too_large(
            "frames",
            (wanted, height, width, channels),
            "use Colorize Video, which streams, or load fewer frames",
            where=f"{clip.path.name}: ",
        )

        apart = max(1, width // PREVIEW_WIDTH)

        def chunks():
            for frames in read_frames(
                clip,
                start_frame=start_frame,
                frame_count=frame_count or None,
                frame_step=frame_step,
                rate=rate,
                size=(width, height),
                batch_size=1,  # a cancel is heard at every frame
                alpha=channels == 4,
            ):
                progress.update(preview=to_images(frames[0, ::apart, ::apart, :3]))
                yield frames

        with host.Progress(wanted) as progress:
            batches = list(regroup(chunks(), min(batch_size, wanted)))
        loaded = sum(map(len, batches))
        fps /= frame_step
        sound = read_audio(clip, float(clip.time_of(start_frame) - clip.start), float(loaded / fps))
        audio = None
        if sound is not None:
            samples, sample_rate = sound
            audio = {"waveform": torch.from_numpy(samples)[None], "sample_rate": sample_rate}
        return io.NodeOutput(batches, audio, float(fps), loaded)


def scaled_size(clip, short_side: int) -> tuple[int, int]:
    """Width and height with ``short_side``, the aspect kept; 0 keeps the clip's own."""
    scale = short_side / min(clip.width, clip.height) if short_side else 1
    return max(1, round(clip.width * scale)), max(1, round(clip.height * scale))
