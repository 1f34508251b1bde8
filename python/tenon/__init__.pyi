import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Union

import numpy as np
from numpy.typing import ArrayLike

_Path = Union[str, "os.PathLike[str]"]

class _DLPack(Protocol):
    def __dlpack__(self) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

_Input = Union[ArrayLike, _DLPack]
_Output = Union[np.ndarray, _DLPack]

class Error(Exception):
    unsupported: bool
    def __init__(self, message: str, unsupported: bool = False) -> None: ...

class Value(NamedTuple):
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str | None, ...]

class Launch(NamedTuple):
    kernel: str
    nodes: list[str]
    calls: int
    nanoseconds: int

class NodeArg(NamedTuple):
    name: str
    type: str
    shape: list[int | str | None]

class Module:
    def __init__(self, artifact: _Path) -> None: ...
    def __del__(self) -> None: ...

class Session:
    inputs: list[Value]
    outputs: list[Value]
    def __init__(self, artifact: _Path | Module, threads: int = 0, profile: bool = False,
                 check_memory: bool = False) -> None: ...
    def __del__(self) -> None: ...
    def run(self, inputs: Mapping[str, _Input] | Iterable[_Input],
            outputs: Mapping[str, _Output] | None = None) -> list[Any]: ...
    @property
    def arena_bytes(self) -> int: ...
    @property
    def profile(self) -> list[Launch]: ...

class InferenceSession:
    def __init__(self, path_or_bytes: _Path | bytes, *, threads: int = 0, dims: Mapping[str, int] | None = None,
                 recipe: _Path | None = None) -> None: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, _Input]) -> list[np.ndarray]: ...

def compile(path: _Path, output: _Path | None = None, dims: Mapping[str, int] | None = None,
            recipe: _Path | None = None) -> str: ...
def info(path: _Path, sizes: Mapping[str, int] | None = None) -> dict[str, Any]: ...
