import torch

from ..host import current, io, verdict
from ..pipeline import count_frames, load_frames, probe


class LoadVideoFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetLoadVideo",
            display_name="Load Video Frames",
            category="video",
            description="Splits a clip into batches of frames; the nodes after it run once a "
            "batch. Every frame stays in memory: for long clips use Colorize Video.",
            search_aliases=[
                "film",
                "movie",
                "import video",
                "split video",
                "video to frames",
            ],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=current().input_files("video"),
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
                io.Float.Output(
                    "pixel_aspect",
                    tooltip="How much wider than high a pixel is: 1 for square ones; link it to "
                    "Save Video Frames.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, file):
        return verdict(current().input_path, file, "video")

    @classmethod
    def describe(cls, file: str) -> dict[str, float]:
        """What the widgets' 0 stands for with the clip ``file``, by their names."""
        clip = probe(current().input_path(file, "video"))
        rate = clip.constant_rate
        return {
            "frame_count": count_frames(clip, rate=rate if clip.variable_rate else None),
            "rate": round(float(rate), 3),
            "short_side": min(clip.width, clip.height),
        }

    @classmethod
    def fingerprint_inputs(cls, file, **_):
        stat = current().input_path(file, "video").stat()
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
        host = current()
        clip = probe(host.input_path(file, "video"), host.check_cancelled)
        with host.progress(max(1, frame_count or clip.frame_count)) as progress:
            loaded = load_frames(
                clip,
                start_frame=start_frame,
                frame_count=frame_count or None,
                frame_step=frame_step,
                batch_size=batch_size,
                rate=rate or None,
                short_side=short_side or None,
                keep_alpha=keep_alpha,
                free_memory=host.free_memory(),
                # The node plays the clip already; a second picture would only push others away.
                on_progress=lambda done, total, _: progress.report(done, total),
                check=host.check_cancelled,
            )
        audio = None
        if loaded.sound is not None:
            samples, sample_rate = loaded.sound
            audio = {"waveform": torch.from_numpy(samples)[None], "sample_rate": sample_rate}
        return io.NodeOutput(
            loaded.batches,
            audio,
            float(loaded.fps),
            loaded.frame_count,
            float(loaded.sample_aspect_ratio),
        )
