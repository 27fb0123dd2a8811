import gzip
from pathlib import Path

import numpy as np
import pytest

from genservice.errors import DataError
from genservice.training.idx import read_idx, write_idx


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "images.gz"
    write_idx(path, np.arange(24).reshape(2, 3, 4))
    return path


def test_what_is_written_is_read(path: Path) -> None:
    values = read_idx(path, 3)
    assert values.dtype == np.uint8
    assert values.tolist() == np.arange(24).reshape(2, 3, 4).tolist()


def test_the_header_is_as_lecun_describes_it(path: Path) -> None:
    assert gzip.decompress(path.read_bytes())[:16] == b"\0\0\x08\x03\0\0\0\x02\0\0\0\x03\0\0\0\x04"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.gz cannot be read"):
        read_idx(tmp_path / "none.gz", 1)


@pytest.mark.parametrize("kept_bytes", [0, 5, 20, -9, -1])
def test_a_cut_file_is_named(path: Path, kept_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(DataError, match=r"images\.gz"):
        read_idx(path, 3)


def test_an_altered_file_is_named(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # in the checksum
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"images\.gz cannot be read"):
        read_idx(path, 3)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08\x03\0\0", b"\0\0\x0d\x03" + bytes(36), b"\0\0\x08\x01" + bytes(36)]
)
def test_another_kind_of_content_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="is not an IDX file of bytes in 3 dimensions"):
        read_idx(path, 3)


@pytest.mark.parametrize("change", [-1, 1])
def test_the_header_and_the_content_must_agree(path: Path, change: int) -> None:
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:-1] if change < 0 else content + b"\0"))
    with pytest.raises(DataError, match=f"holds {24 + change} bytes, and its header announces 24"):
        read_idx(path, 3)
