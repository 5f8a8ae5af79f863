"""The one error that a photo gives."""


class PhotoError(ValueError):
    """A photo that cannot be read or written; the message is one sentence that names it."""
