"""The nodes, one file each; their ids are saved in people's workflows and never change."""

from .colorize_folder import ColorizeFolder
from .colorize_images import ColorizeImages
from .colorize_video import ColorizeVideo
from .load_keyframes import LoadKeyframes
from .load_model import LoadModel
from .load_video import LoadVideoFrames
from .save_video import SaveVideoFrames
from .shot_keyframes import ShotKeyframes
from .stabilize_colors import StabilizeColors
from .teach import Teach

NODES = [
    LoadModel,
    ColorizeImages,
    ColorizeVideo,
    ColorizeFolder,
    LoadVideoFrames,
    SaveVideoFrames,
    ShotKeyframes,
    LoadKeyframes,
    StabilizeColors,
    Teach,
]
