"""A changed cfg is the old one but for the changed lines."""
import pytest
from small import COMMENTED

from minidarknet import parser, rewrite


@pytest.mark.parametrize("encoding, ends", [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("latin-1", "\n"),
                                            ("utf-16", "\r\n")])
def test_write_back_changes_its_lines_and_no_other_byte(tmp_path, encoding, ends):
    before = ("# f\xfcr alle\n" + COMMENTED).replace("\n", ends).encode(encoding)
    file = tmp_path / "my.cfg"
    file.write_bytes(before)
    changes = rewrite.write_back(parser.override(parser.read(file), {"convolutional.filters": 40, "net.height": 8}))
    after = before.decode(encoding).replace("filters = 15 ", "filters = 40 ")
    assert file.read_bytes() == after.replace(f"width=8{ends}", f"width=8{ends}height=8{ends}").encode(encoding)
    assert changes == [(5, None, "height=8"),
                       (9, "filters = 15   # three classes", "filters = 40   # three classes")]
    assert rewrite.write_back(parser.read(file)) == []
