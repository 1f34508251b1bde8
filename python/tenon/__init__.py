"""Compiles ONNX models to native code and runs them.

    artifact = tenon.compile("model.onnx")
    session = tenon.Session(artifact, threads=4)
    outputs = session.run({"input_ids": ids})

InferenceSession has the interface of onnxruntime's, tenon.backend that of ONNX.
"""
from ._compiler import compile, info
from ._error import Error
from ._inference_session import InferenceSession, NodeArg
from ._session import Launch, Module, Session, Value

__all__ = ["Error", "InferenceSession", "Launch", "Module", "NodeArg", "Session",
           "Value", "compile", "info"]
