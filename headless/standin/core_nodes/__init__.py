"""The nodes of ComfyUI itself that photo and film workflows use, under ComfyUI's ids."""

from .load import LoadImage, LoadImageDataSetFromFolder, LoadImageMask
from .mask import ImageToMask, InvertMask, MaskToImage
from .paint import Painter
from .primitive import (
    PrimitiveBoolean,
    PrimitiveFloat,
    PrimitiveInt,
    PrimitiveString,
    PrimitiveStringMultiline,
)
from .save import ImageCompare, PreviewImage, SaveImage
from .transform import (
    ImageBatch,
    ImageCrop,
    ImageCropV2,
    ImageInvert,
    ImageScale,
    ImageScaleBy,
    RebatchImages,
)
from .video import CreateVideo, GetVideoComponents, LoadVideo, SaveVideo, VideoSlice

CORE_NODES = [
    LoadImage,
    LoadImageMask,
    LoadImageDataSetFromFolder,
    SaveImage,
    PreviewImage,
    ImageCompare,
    ImageScale,
    ImageScaleBy,
    ImageCrop,
    ImageCropV2,
    ImageInvert,
    ImageBatch,
    RebatchImages,
    MaskToImage,
    ImageToMask,
    InvertMask,
    Painter,
    PrimitiveString,
    PrimitiveStringMultiline,
    PrimitiveInt,
    PrimitiveFloat,
    PrimitiveBoolean,
    LoadVideo,
    SaveVideo,
    GetVideoComponents,
    CreateVideo,
    VideoSlice,
]
