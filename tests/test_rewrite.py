"""A changed cfg is the old one but for the changed lines."""
import pytest

from minidarknet import parser, rewrite

SMALL = """[net]
batch = 4
width=8

# the only layer
[convolutional]
filters = 15   # three classes
activation=leaky
[region]
classes=3
num = 5
"""


@pytest.mark.parametrize("encoding, ends", [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("latin-1", "\n"),
                                            ("utf-16", "\r\n")])
def test_write_back_changes_its_lines_and_no_other_byte(tmp_path, encoding, ends):
    before = ("# f\xfcr alle\n" + SMALL).replace("\n", ends).encode(encoding)
    file = tmp_path / "my.cfg"
    file.write_bytes(before)
    changes = rewrite.write_back(parser.override(parser.read(file), {"convolutional.filters": 40, "net.height": 8}))
    after = before.decode(encoding).replace("filters = 15 ", "filters = 40 ")
    assert file.read_bytes() == after.replace(f"width=8{ends}", f"width=8{ends}height=8{ends}").encode(encoding)
    assert changes == [(5, None, "height=8"),
                       (9, "filters = 15   # three classes", "filters = 40   # three classes")]
    assert rewrite.write_back(parser.read(file)) == []
