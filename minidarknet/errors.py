"""The errors a person at the door can meet; each kind has its own exit code.

Every message names file and line where there is one, what was found, what was expected and what to do.
"""


class MinidarknetError(Exception):
    """Anything minidarknet refuses on purpose. Exit code 1."""

    exit_code = 1


class UsageError(MinidarknetError):
    """A command line that cannot be carried out. Exit code 2."""

    exit_code = 2


class CfgError(UsageError):
    """A network description that does not describe a network. Exit code 2."""


class DataError(MinidarknetError):
    """Pictures, annotations or lists that cannot be used. Exit code 3."""

    exit_code = 3


class WeightsError(MinidarknetError):
    """A weights or checkpoint file that does not fit. Exit code 4."""

    exit_code = 4


class DivergedError(MinidarknetError):
    """Training produced a number that is not finite. Exit code 6."""

    exit_code = 6
