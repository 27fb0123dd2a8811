"""A name server of one name: gives the addresses that a file has at that moment, one a line, and lets nobody keep them.

python names.py ADDRESS NAME FILE
"""

import socket
import struct
import sys
from pathlib import Path

PORT = 53
A, IN = 1, 1
NO_SUCH_NAME = 3
ANSWER, RECURSION = 0x8400, 0x0180
"""Flags of RFC 1035, section 4.1.1: an answer by the authority; recursion, which clients like to see."""


def answer(query: bytes, name: str, addresses: list[str]) -> bytes:
    """Answers a query: of the name, its addresses where it asks for IPv4, and none of other kinds."""
    end = query.index(0, 12)
    kind, _ = struct.unpack_from(">HH", query, end + 1)
    known = query[13 : 13 + query[12]].decode().lower() == name
    found = addresses if known and kind == A else []
    flags = ANSWER | RECURSION | (0 if known else NO_SUCH_NAME)
    head = query[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0)
    # 0xC00C points at the name in the question; a lifetime of 0 s.
    records = [struct.pack(">HHHIH", 0xC00C, A, IN, 0, 4) + socket.inet_aton(address) for address in found]
    return head + query[12 : end + 5] + b"".join(records)


def serve(address: str, name: str, file: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind((address, PORT))
        print("listening", flush=True)
        while True:
            query, asker = port.recvfrom(512)
            port.sendto(answer(query, name, file.read_text().split()), asker)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
