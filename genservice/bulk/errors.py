"""What can go wrong with a bulk job: as one tree, under BulkError."""


class BulkError(Exception):
    """A folder is missing, taken or cannot be written.

    Args:
        message: What is wrong, for people; one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class DamagedError(BulkError):
    """A file is not what was written."""


class MixedJobError(BulkError):
    """To go on would put samples of different draws into one folder."""


class OtherBitsError(BulkError):
    """The job promises equal bits, and no replica that was asked computes them; one that does may come back."""
