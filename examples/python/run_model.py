"""Compiles a model if needed, runs it on ones and prints what it computes.

    python run_model.py MODEL.onnx|MODEL.so
"""
import sys

import numpy as np
import tenon

path = sys.argv[1]
if path.endswith(".onnx"):
    path = tenon.compile(path)
session = tenon.Session(path, threads=2)
inputs = {}
for value in session.inputs:
    shape = [1 if isinstance(size, str) else size for size in value.shape]
    inputs[value.name] = np.ones(shape, value.dtype)
for value, output in zip(session.outputs, session.run(inputs)):
    print(value.name, output.dtype, output.shape, output.ravel()[:8])
