"""append_weights.py IN.so OUT.so: appends 16 floats as the compiler does, and
writes their place and the checksum into the ELF note. The matrix is 0, 1, ...,
15 by rows."""
import struct
import sys
import zlib

data = bytearray(open(sys.argv[1], "rb").read())
weights = struct.pack("<16f", *range(16))
offset = (len(data) + 4095) // 4096 * 4096
note = data.index(struct.pack("<III", 6, 48, 1) + b"Tenon\0\0\0") + 20
struct.pack_into("<QQ", data, note + 8, offset, len(weights))
data += bytes(offset - len(data))
struct.pack_into("<Q", data, note + 40, zlib.crc32(data))
open(sys.argv[2], "wb").write(data + weights)
