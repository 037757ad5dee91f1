"""Files that are either the old one or the whole new one, whatever happens in between."""
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path, mode="wb", **kwargs):
    """Open a temporary file beside `path`; when the block ends well it becomes `path`, otherwise it is removed.

    mode, kwargs: as for open(). The folder is made where it is missing. Raises OSError as open() does.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask():
    """The process's umask: mkstemp ignores it, ordinary files obey it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
