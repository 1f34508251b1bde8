"""Compiles ONNX models to native code and runs them.

    artifact = tenon.compile("model.onnx")
    session = tenon.Session(artifact, threads=4)
    outputs = session.run({"input_ids": ids})

InferenceSession has the interface of onnxruntime's, tenon.backend that of ONNX.
Generator goes on with texts of token ids, Tokenizer makes them of text.
"""
from ._compiler import compile, info
from ._error import Error
from ._generator import Generator, Statistics
from ._inference_session import InferenceSession, NodeArg
from ._session import Launch, Module, Session, Value
from ._tokenizer import TextStream, Tokenizer

__all__ = ["Error", "Generator", "InferenceSession", "Launch", "Module", "NodeArg", "Session",
           "Statistics", "TextStream", "Tokenizer", "Value", "compile", "info"]
