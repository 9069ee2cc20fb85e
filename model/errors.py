"""The one exception family of `penstock.model`: what a user can get wrong."""

from penstock.program.base.errors import PenstockError


class ModelError(PenstockError):
    """A mistake the user can repair: `message` says what is wrong, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.args = (message, hint)  # what pickle makes it from

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class DataError(ModelError):
    """A data set that is missing, damaged or not what its format promises."""


class ConfigError(ModelError):
    """A configuration that names no network, or one that cannot be built."""


class CheckpointError(ModelError):
    """A checkpoint that is missing or was not written by `train_network`."""
