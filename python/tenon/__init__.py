"""Compiles ONNX models to native code and runs them.

    artifact = tenon.compile("model.onnx")
    session = tenon.Session(artifact, threads=4)
    outputs = session.run({"input_ids": ids})
"""
from ._compiler import compile, info
from ._error import Error
from ._session import Launch, Module, Session, Value

__all__ = ["Error", "Launch", "Module", "Session", "Value", "compile", "info"]
