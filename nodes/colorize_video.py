import logging
from dataclasses import replace

from ..files import AtomicOutput
from ..host import current, io, ui
from ..options import MAX_TEACH_STEPS, EncodeOptions, FilmOptions, TeachOptions
from ..pipeline import FORMATS, FilmConfidence, TaughtNetworks, colorize_film, probe
from .types import (
    ColorizationModel,
    Shots,
    color_options,
    colour_inputs,
    look_input,
    quality_input,
    stability_input,
)

log = logging.getLogger(__name__)

# ComfyUI's Save Video copies the streams into MP4, which takes all but what is made for QuickTime.
FILM_FORMATS = [name for name, entry in FORMATS.items() if entry.sound and entry.suffix != ".mov"]


class ColorizeVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetColorizeVideo",
            display_name="Colorize Video",
            category="video",
            description="Colorizes a clip of any length in flat memory. Its own luma goes to the "
            "encoder untouched; times, sound, subtitles and chapters are kept.",
            search_aliases=[
                "color",
                "colour",
                "colorize",
                "colorise",
                "film",
                "movie",
                "video",
                "old film",
                "black and white",
                "b&w",
                "sepia",
                "restore",
                "restore film",
                "deoldify",
                "ddcolor",
            ],
            inputs=[
                ColorizationModel.Input("model", tooltip="From Load ColorizationNet or Teach."),
                io.Video.Input("video", tooltip="Any VIDEO; a trim is honoured."),
                *colour_inputs(),
                stability_input(),
                io.Image.Input(
                    "keyframes",
                    optional=True,
                    tooltip="Coloured keyframes of Shot Keyframes: each shot is then coloured by "
                    "a network taught on its own.",
                ),
                Shots.Input("shots", optional=True, tooltip="From Shot Keyframes."),
                io.Int.Input(
                    "teach_steps",
                    default=TeachOptions.steps,
                    min=1,
                    max=MAX_TEACH_STEPS,
                    optional=True,
                    advanced=True,
                    tooltip="How long each shot's network learns from its keyframes.",
                ),
                quality_input(),
                io.Combo.Input(
                    "format",
                    options=FILM_FORMATS,
                    default="h264",
                    optional=True,
                    advanced=True,
                    tooltip="Codec of the file in the temp folder. Save Video copies the streams "
                    "into an MP4 as they are, unless its own codec is set to h264. Subtitles are "
                    "kept with h264, hevc and av1. For ProRes use Save Video Frames or the command "
                    "line.",
                ),
                io.Int.Input(
                    "crf",
                    display_name="crf (-1 = auto)",
                    default=-1,
                    min=-1,
                    max=63,
                    optional=True,
                    advanced=True,
                    tooltip="The encoder's quality number, lower is better; -1, auto, is the "
                    "format's default.",
                ),
                look_input(),
                io.Boolean.Input(
                    "strokes",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="The keyframes are grey frames with strokes of colour painted on them: "
                    "only the pixels that have colour count.",
                ),
                io.String.Input(
                    "score_prefix",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Writes a .json of this name below the output folder: how well each "
                    "frame's colours are known from the keyframes, 0 to 1. Empty writes none.",
                ),
            ],
            outputs=[io.Video.Output("video")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def execute(
        cls,
        model,
        video,
        render_size,
        strength,
        saturation,
        stability,
        keyframes=None,
        shots=None,
        teach_steps=TeachOptions.steps,
        quality="auto",
        format="h264",
        crf=-1,
        look="natural",
        strokes=False,
        score_prefix="",
    ) -> io.NodeOutput:
        if (keyframes is None) != (shots is None):
            raise ValueError("Coloured keyframes need the SHOTS of Shot Keyframes, and vice versa.")
        if score_prefix and keyframes is None:
            raise ValueError("The score tells of keyframes; link those, or empty score_prefix.")
        host = current()
        options = color_options(model, render_size, strength, saturation, quality, look=look)
        source, start, duration = host.video_source(video)
        clip = probe(source, host.check_cancelled)
        suffix = FORMATS[format].suffix
        if clip.subtitles and suffix != ".mp4":
            log.warning(
                "Save Video cannot copy the subtitles of %s from %s: they are left out",
                source.name,
                suffix,
            )
            clip = replace(clip, subtitles=())
        frames = clip.frames(start, duration or None)
        network = model.load(options, 1, clip.height, clip.width, film=True)
        saved = host.output_path("colorizationnet", suffix, folder="temp")
        confidence = FilmConfidence(len(frames))
        with host.progress(len(frames)) as progress:
            colorize_film(
                clip,
                saved.path,
                network,
                options,
                FilmOptions(stability),
                EncodeOptions(format, None if crf < 0 else crf, metadata=host.metadata(cls)),
                frames=frames,
                shots=shots,
                keyframes=keyframes,
                strokes=strokes,
                teaching=TeachOptions(teach_steps),
                device=host.device(),
                kept=TaughtNetworks(host.taught_folder()),
                on_progress=progress.report,
                check=host.check_cancelled,
                on_confidence=confidence.hear,
            )
        colored = host.video_from_file(saved.path)
        if keyframes is None:
            return io.NodeOutput(colored)
        share = 100 * confidence.mean
        log.info("%s: %.0f %% of its colours known from keyframes", source.name, share)
        if score_prefix:
            scores = host.output_path(score_prefix, ".json", clip.width, clip.height)
            with AtomicOutput(scores.path) as part:
                confidence.write(part, clip)
        maps = confidence.pictures(clip, frames)
        return io.NodeOutput(colored, ui=ui.PreviewImage(maps, cls=cls))
