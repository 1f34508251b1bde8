"""Compiles a model once and finds the artifact again by what it was made of.

The folder is TENON_CACHE, or tenon in XDG_CACHE_HOME or ~/.cache. An artifact
is KEY.so, where KEY is a hash of the model's bytes, those of its external data,
sizes, recipe, form, compiler, and the processor that code is made for. Files are never
changed or removed by Tenon.
"""
import contextlib
import hashlib
import mmap
import os
import pathlib
import re
import tempfile

from ._compiler import compile, find_compiler
from ._error import Error

# An entry of external_data as protobuf writes it: field 1 is this key, and then
# comes field 2, the name of the file.
_LOCATION = re.compile(rb"\x0a\x08location\x12")


def _folder():
    if "TENON_CACHE" in os.environ:
        return pathlib.Path(os.environ["TENON_CACHE"])
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "tenon"


@contextlib.contextmanager
def _mapped(path):
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _file_hash(path):
    with _mapped(path) as data:
        return hashlib.sha256(data).hexdigest()


def _external_names(model):
    """The files that a serialised model keeps tensors in. What only looks like
    such an entry costs one look for a file that is not there."""
    names = set()
    for entry in _LOCATION.finditer(model):
        size, shift, at = 0, 0, entry.end()
        while True:  # a varint: seven bits a byte, the last has no eighth
            byte = model[at]
            size, shift, at = size | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                break
        names.add(bytes(model[at:at + size]))
    return sorted(names)


def _processor():
    """What the compiler's choice of instructions depends on, as text."""
    wanted = ("vendor_id", "cpu family", "model", "flags")
    with open("/proc/cpuinfo") as file:
        first = file.read().split("\n\n")[0]
    return [line for line in first.splitlines()
            if line.split("\t")[0].strip() in wanted]


def _key(model, dims, recipe, decoder):
    path = None if isinstance(model, bytes) else pathlib.Path(model)
    parts = [_file_hash(find_compiler()), *_processor()]
    with contextlib.nullcontext(model) if path is None else _mapped(path) as data:
        parts.append(hashlib.sha256(data).hexdigest())
        for name in _external_names(data) if path else ():
            file = path.parent / os.fsdecode(name)
            if file.is_file():  # if not, the compiler says which tensor it has
                parts += [name.hex(), _file_hash(file)]
    parts.append(repr(sorted((dims or {}).items())))
    parts.append(_file_hash(recipe) if recipe else "")
    if decoder:
        parts.append("decoder")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def compile_cached(model, dims=None, recipe=None, decoder=False):
    """The path of the artifact of `model`, a path or a serialised ModelProto."""
    folder = _folder()
    try:
        artifact = folder / f"{_key(model, dims, recipe, decoder)}.so"
        if artifact.is_file():
            return artifact
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made aside and renamed: whoever looks sees all of it or nothing, and
        # the last of several who compile the same replaces equal bytes.
        with tempfile.TemporaryDirectory(prefix="new-", dir=folder) as aside:
            if isinstance(model, bytes):
                serialized, model = model, pathlib.Path(aside) / "model.onnx"
                model.write_bytes(serialized)
            made = compile(model, pathlib.Path(aside) / "model.so", dims, recipe,
                           decoder)
            with open(made, "rb") as file:
                os.fsync(file.fileno())
            os.replace(made, artifact)
    except OSError as error:
        raise Error(f"cannot compile into the cache: {error}") from None
    return artifact
