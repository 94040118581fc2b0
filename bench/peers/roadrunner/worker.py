"""A worker of RoadRunner on pipes: goridge version 3 frames, each answered with what it holds.

Frame: version and length of the header in 32-bit words (4 bits each), flags, length of the payload (32 bits, little endian),
CRC-32 of these 6 bytes, 2 bytes about streams, options of 32 bits. An answer has the header of its request.
"""
import json
import os
import zlib

CONTROL, JSON = 0x01, 0x08
HEADER, WORD = 12, 4


def control(flags, payload):
    head = bytes([0x13, flags]) + len(payload).to_bytes(4, "little")
    return head + zlib.crc32(head).to_bytes(4, "little") + b"\0\0" + payload


def write(data):
    view = memoryview(data)
    while len(view):
        view = view[os.write(1, view):]


def main():
    read = open(0, "rb", buffering=64 << 10).read
    while True:
        head = read(HEADER)
        if len(head) < HEADER:
            return
        options = read((head[0] & 0x0F) * WORD - HEADER)
        payload = read(int.from_bytes(head[2:6], "little"))
        if not head[1] & CONTROL:
            write(b"".join((head, options, payload)))
        elif json.loads(payload).get("stop"):
            return
        else:
            write(control(CONTROL | JSON, json.dumps({"pid": os.getpid()}).encode()))


main()
