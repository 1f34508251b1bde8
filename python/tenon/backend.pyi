from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.backend.base

from . import Session, _Input

class BackendRep(onnx.backend.base.BackendRep):
    def __init__(self, session: Session) -> None: ...
    def run(self, inputs: np.ndarray | Sequence[_Input] | Mapping[str, _Input], **kwargs: Any) -> tuple[Any, ...]: ...

class Backend(onnx.backend.base.Backend):
    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", *, threads: int = 0,
                **kwargs: Any) -> BackendRep: ...
    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Sequence[Any], device: str = "CPU",
                 outputs_info: Sequence[tuple[np.dtype[Any], tuple[int, ...]]] | None = None,
                 **kwargs: Any) -> tuple[Any, ...]: ...
    @classmethod
    def supports_device(cls, device: str) -> bool: ...

prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
is_compatible = Backend.is_compatible
