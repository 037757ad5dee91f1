"""Text files: their line ends, their encoding, and what is no text."""
import pytest

from minidarknet.errors import DataError
from minidarknet.textfiles import numbered_lines, read_text, write_lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(tmp_path, end):
    path = tmp_path / "x.txt"
    path.write_bytes(end.join(["\ufeffa", "", "  b c ", ""]).encode())
    assert read_text(path, "text") == "a\n\n  b c \n" and numbered_lines(path, "text") == [(1, "a"), (3, "b c")]
    write_lines(path, ["a", "caf\xe9"])
    assert path.read_bytes() == b"a\ncaf\xc3\xa9\n"


@pytest.mark.parametrize("data, words", [
    (b"a\n\nb\xe9c\n", "x.txt:3 is not in UTF-8: it has the byte 0xe9; expected labels, saved as UTF-8"),
    (b"\xef\xbb\xbfa\n\xff", "x.txt:2 is not in UTF-8: it has the byte 0xff"),
    (b"a\0b", "this is not text; expected labels"), ("a\n".encode("utf-16-le"), "this is not text"),
    (b"\x89PNG\r\n\x1a", "not text"),
])
def test_what_is_no_text(tmp_path, data, words):
    (tmp_path / "x.txt").write_bytes(data)
    with pytest.raises(DataError, match=words):
        read_text(tmp_path / "x.txt", "labels")


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="none: cannot be read: No such file"):
        read_text(tmp_path / "none", "labels")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        numbered_lines(tmp_path, "labels")
