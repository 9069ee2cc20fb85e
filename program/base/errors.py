"""The one family of user errors: what is wrong, where, and what to do about it."""


class PenstockError(Exception):
    """Something the user can put right; the command line prints it as one line, exit code 2.

    Args:
        message: what is wrong and why, without a full stop.
        where: the node, file or field it is about ("" if the message says it).
        hint: what to do about it ("" if there is nothing to say).
    """

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        where = f", at {self.where}" if self.where else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.message}{where}{hint}"
