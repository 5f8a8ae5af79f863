import logging
from dataclasses import replace

from ..files import AtomicOutput
from ..host import current, for_clip, io, ui
from ..options import COMPARISONS, MAX_TEACH_STEPS, EncodeOptions, FilmOptions, TeachOptions
from ..pipeline import FORMATS, FilmConfidence, TaughtNetworks, colorize_film, probe
from .types import (
    ColorizationModel,
    Shots,
    check_saturation,
    color_options,
    colour_inputs,
    encoder_input,
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
            is_input_list=True,  # keyframes may come one by one
            inputs=[
                ColorizationModel.Input("model", tooltip="From Load ColorizationNet or Teach."),
                io.Video.Input("video", tooltip="Any VIDEO; a trim is honoured."),
                *colour_inputs(),
                stability_input(),
                io.Image.Input(
                    "keyframes",
                    optional=True,
                    tooltip="Coloured keyframes of Shot Keyframes, in a batch or a list, of all "
                    "shots or some: each shot is then coloured by a network taught on its own.",
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
                    tooltip="The keyframes are grey with strokes of colour painted on them: only "
                    "what is painted teaches.",
                ),
                io.Combo.Input(
                    "compare",
                    options=list(COMPARISONS),
                    default="off",
                    optional=True,
                    advanced=True,
                    tooltip="To show people the difference: half leaves the left half grey, wipe "
                    "begins in grey and draws the colour across the picture.",
                ),
                io.String.Input(
                    "score_prefix",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Writes a .json of this name below the output folder: how well each "
                    "frame's colours are known from the keyframes, 0 to 1. Empty writes none.",
                ),
                encoder_input(),
            ],
            outputs=[io.Video.Output("video", is_output_list=True)],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(cls, saturation=1.0):
        return check_saturation(saturation)

    @classmethod
    def execute(cls, keyframes=None, shots=None, **inputs) -> io.NodeOutput:
        films = max(map(len, inputs.values()))
        colored, shown = [], []
        for film, references in enumerate(_references_of_each(films, keyframes, shots)):
            # As ComfyUI does for nodes that take no lists: the last value counts on.
            given = {name: values[min(film, len(values) - 1)] for name, values in inputs.items()}
            video, maps = cls._colorize(**given, **references)
            colored.append(video)
            shown += maps
        return io.NodeOutput(colored, ui=ui.SavedImages(shown) if shown else None)

    @classmethod
    def _colorize(
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
        compare="off",
        score_prefix="",
        encoder="software",
    ):
        """The coloured film, and pictures of how well its colours are known from keyframes."""
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
        scores = None
        if score_prefix:
            scores = host.output_path(score_prefix, ".json", clip.width, clip.height)
        confidence = FilmConfidence(len(frames))
        with host.progress(len(frames)) as progress:

            def tell(shot: int, shots: int, taught: bool) -> None:
                progress.tell(f"shot {shot} of {shots}: {'teaching' if taught else 'colouring'}")

            colorize_film(
                clip,
                saved.path,
                network,
                options,
                FilmOptions(stability, compare),
                EncodeOptions(
                    format,
                    None if crf < 0 else crf,
                    metadata=for_clip(host.metadata(cls), clip.tags),
                    encoder=encoder,
                ),
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
                on_shot=tell,
            )
            if keyframes is not None:
                progress.tell(confidence.summary)
                log.info("%s: %s", source.name, confidence.summary)
        colored = host.video_from_file(saved.path)
        if keyframes is None:
            return colored, []
        if scores:
            with AtomicOutput(scores.path) as part:
                confidence.write(part, clip)
        maps = ui.PreviewImage(confidence.pictures(clip, frames), cls=cls)
        return colored, maps.as_dict()["images"]


def _references_of_each(films, keyframes, shots) -> list[dict]:
    """The keyframes and shots of each film: those of one SHOTS are every film's."""
    if (keyframes is None) != (shots is None):
        raise ValueError("Coloured keyframes need the SHOTS of Shot Keyframes, and vice versa.")
    if shots is None:
        return [{}] * films
    if len(shots) == 1:
        pictures = [picture for batch in keyframes for picture in batch]
        return [{"keyframes": pictures, "shots": shots[0]}] * films
    if len(keyframes) == len(shots) == films:
        return [
            {"keyframes": list(batch), "shots": found}
            for batch, found in zip(keyframes, shots, strict=True)
        ]
    raise ValueError(
        f"There are {films} films, {len(keyframes)} batches of keyframes and {len(shots)} "
        "SHOTS; give one of each for every film."
    )
