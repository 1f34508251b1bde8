"""What single nodes compute, by ONNX's reference evaluator, and how exactly.

A node is evaluated in double precision, and each result is rounded once to its
type: so the reference has no errors of its own, and types that numpy computes
badly (bfloat16) are no special case.
"""
import warnings

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, defs, helper
from onnx.reference import ReferenceEvaluator

from .bodies import CONTROL, make_bodies
from .refusal import Refused
from .specified import RENEWED, SPECIFIED, attribute

BF16 = np.dtype(ml_dtypes.bfloat16)
F16, F32, F64 = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)
FLOATS = [F32, F16, BF16, F64]
SIGNED = [np.dtype(t) for t in (np.int64, np.int32, np.int16, np.int8)]
UNSIGNED = [np.dtype(t) for t in (np.uint8, np.uint16, np.uint32, np.uint64)]
INTEGERS = SIGNED + UNSIGNED
BOOL = np.dtype(np.bool_)
I64 = np.dtype(np.int64)

# Half the distance from 1 to the next number.
ROUNDOFF = {F64: 2.0**-53, F32: 2.0**-24, F16: 2.0**-11, BF16: 2.0**-8}
LARGEST = {F64: 1e300, F32: 3.4e38, F16: 65504.0, BF16: 3.38e38}

# Their results depend on the type of what they read.
NATIVE = {"Cast", "CastLike", "BitCast", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearMatMul",
          "Range", "ConstantOfShape", "EyeLike", "OneHot", "Constant"}

# Their vector functions and row kernels are of float alone (docs/decisions/0007).
NOT_OF_DOUBLE = {"Sin", "Cos", "Tan", "Sinh", "Cosh", "Tanh", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh", "Erf",
                 "Gelu", "Mish", "Softmax", "LayerNormalization", "RMSNormalization", "GroupNormalization",
                 "InstanceNormalization", "Attention", "Resize"}


def is_float(dtype):
    return np.dtype(dtype) in ROUNDOFF


def proto_type(dtype):
    return TensorProto.BFLOAT16 if np.dtype(dtype) == BF16 else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def type_info(name, dtype, shape):
    return helper.make_tensor_value_info(name, proto_type(dtype), shape)


def type_name(dtype):
    return "tensor(" + ("bfloat16" if dtype == BF16 else {"float32": "float", "float64": "double"}.get(
        str(dtype), str(dtype))) + ")"


def schema(op, opset, domain=""):
    """The operator as this opset has it, or Refused."""
    try:
        return defs.get_schema(op, opset, domain)
    except Exception as error:
        raise Refused from error


def allowed(op, opset, operand=0):
    """The types that an operand may have."""
    wanted = schema(op, opset).inputs[operand].types
    return [dtype for dtype in FLOATS + INTEGERS + [BOOL] if type_name(dtype) in wanted]


def captured(node):
    """Names that the graphs of a node read from around it."""
    names = []
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            body = attribute.g
            own = {i.name for i in body.input} | {t.name for t in body.initializer}
            for inner in body.node:
                names += [n for n in [*inner.input, *captured(inner)] if n and n not in own]
                own.update(inner.output)
    return list(dict.fromkeys(names))


def operators(proto):
    """Those of a node and of its graphs."""
    found = {proto.op_type}
    for attribute in proto.attribute:
        for inner in attribute.g.node:
            found |= operators(inner)
    return found


class Node:
    """A node, the types of its results, and an evaluator for it."""

    def __init__(self, proto, types, opsets, ranks=None):
        """`types` are those of the names that it reads, as `ranks` if they are known."""
        self.proto, self.opsets, self.body = proto, opsets, None
        self.captured = captured(proto)
        if F64 in [types[n] for n in (*proto.input, *self.captured) if n] and operators(proto) & NOT_OF_DOUBLE:
            raise Refused
        self.reads = [n for n in dict.fromkeys([*proto.input, *self.captured]) if n]
        self.native = proto.op_type in NATIVE or not any(is_float(types[n]) for n in self.reads)
        self.bodies = None
        if proto.op_type in CONTROL:
            self.bodies, self.types = make_bodies(proto, types, lambda inner, known: Node(inner, known, opsets))
            return
        inputs = [type_info(n, types[n], [None] * ranks[n] if ranks else None) for n in self.reads]
        outputs = [helper.make_empty_tensor_value_info(n) for n in proto.output]
        graph = helper.make_graph([proto], "node", inputs, outputs)
        self.model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        self.types = self.infer_types(types)
        self.evaluator = self.make_evaluator()

    def make_evaluator(self):
        if self.proto.domain != "com.microsoft":
            model = onnx.ModelProto()
            model.CopyFrom(self.model)
            since = RENEWED.get(self.proto.op_type, 1)
            model.opset_import[0].version = max(since, model.opset_import[0].version)
            try:
                return ReferenceEvaluator(model)
            except Exception as error:
                raise Refused from error  # it does not know the operator
        import onnxruntime  # ONNX does not specify these
        for value, dtype in zip(self.model.graph.output, self.types):
            value.CopyFrom(type_info(value.name, dtype, None))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self.model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def infer_types(self, types):
        """The types of the results; Refused where the schema forbids the node."""
        if self.proto.domain == "com.microsoft":
            return [types[self.reads[0]]] * len(self.proto.output)
        self.check_types(types)
        try:
            inferred = onnx.shape_inference.infer_shapes(self.model, check_type=True, strict_mode=True)
        except Exception as error:
            raise Refused from error
        found = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.output}
        if not all(found[n] for n in self.proto.output if n):
            raise Refused
        return [BF16 if found[n] == TensorProto.BFLOAT16 else np.dtype(helper.tensor_dtype_to_np_dtype(found[n]))
                for n in self.proto.output]

    def check_types(self, types):
        version = next(o.version for o in self.opsets if o.domain == self.proto.domain)
        formal = schema(self.proto.op_type, version, self.proto.domain).inputs
        if not formal:
            return
        for position, name in enumerate(self.proto.input):
            if name and type_name(types[name]) not in formal[min(position, len(formal) - 1)].types:
                raise Refused

    def run(self, feeds):
        """The results for operands of the node's types."""
        if self.bodies:
            return CONTROL[self.proto.op_type](self, feeds, Node.run)
        undefined(self.proto, [feeds[n] if n else None for n in self.proto.input])
        return self.rounded(self.exact(feeds))

    def exact(self, feeds):
        """The results in double precision, where the node is evaluated in that."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            wide = {n: feeds[n].astype(F64) if not self.native and self.proto.domain == "" and is_float(feeds[n].dtype)
                    else feeds[n] for n in self.reads}
            try:
                results = SPECIFIED[self.proto.op_type](self, wide) if self.proto.op_type in SPECIFIED \
                    else self.evaluator.run(None, wide)
            except Refused:
                raise
            except Exception as error:
                raise Refused from error
        if any(not isinstance(r, (np.ndarray, np.generic)) for r in results):
            raise Refused
        return [np.asarray(r) for r in results]

    def rounded(self, results):
        with np.errstate(all="ignore"):
            return [r.astype(t) for r, t in zip(results, self.types)]


def normalised(proto, value):
    """How many elements a norm centres together; 0 for other operators."""
    axes = {"LayerNormalization": lambda: range(attribute(proto, "axis", -1) % value.ndim, value.ndim),
            "SkipLayerNormalization": lambda: [-1], "InstanceNormalization": lambda: range(2, value.ndim),
            "GroupNormalization": lambda: range(1, value.ndim),
            "MeanVarianceNormalization": lambda: attribute(proto, "axes", [0, 2, 3])}.get(proto.op_type)
    count = int(np.prod([value.shape[axis] for axis in axes()])) if axes else 0
    return count // attribute(proto, "num_groups", 1) if count else 0


def undefined(proto, operands):
    """Refused where ONNX does not say what the node gives for these values."""
    op = proto.op_type
    value = operands[0] if operands else None
    if op in ("Div", "Mod") and not is_float(value.dtype):
        divisor = operands[1]
        if np.any(divisor == 0) or (np.issubdtype(value.dtype, np.signedinteger) and np.any(divisor == -1)
                                    and np.any(value == np.iinfo(value.dtype).min)):
            raise Refused
    if op in ("Div", "Mod") and is_float(value.dtype) and np.any(operands[1] == 0):
        raise Refused
    if op == "BitShift" and np.any(operands[1] >= value.dtype.itemsize * 8):
        raise Refused
    if op in ("Cast", "CastLike") and is_float(value.dtype):
        to = attribute(proto, "to", None)
        to = operands[1].dtype if to is None else np.dtype(helper.tensor_dtype_to_np_dtype(to))
        if np.issubdtype(to, np.integer):
            wide, limits = value.astype(F64), np.iinfo(to)
            if not np.all(np.isfinite(wide)) or np.any(np.trunc(wide) < float(limits.min)) \
                    or np.any(np.trunc(wide) > float(limits.max) * (1 - 2.0**-40)):
                raise Refused
    if op == "ReduceL2" and not is_float(value.dtype) and np.any(np.abs(value.astype(F64)) > 1000):
        raise Refused  # whether squares may overflow is left open: Tenon's are doubles, the evaluator's wrap
    if op == "SoftmaxCrossEntropyLoss" and value.size and np.ptp(value.astype(F64), axis=1).max(initial=0) > 700:
        raise Refused  # the evaluator takes logarithms of powers that doubles hold with few digits
    if op == "QuantizeLinear" and is_float(value.dtype) and value.size \
            and np.any(np.abs(value / operands[1].max()) > 2**31):
        raise Refused  # the evaluator rounds to i32, which overflows
    if op == "DynamicQuantizeLinear" and not np.any(value):
        raise Refused  # ONNX divides by 0; Tenon and onnxruntime take a scale of 1, the evaluator 1/255
    if op in ("ReduceProd", "CumProd") and is_float(value.dtype):
        magnitudes = np.abs(value[value != 0].astype(F64))
        if np.sum(np.abs(np.log2(magnitudes))) > 100:
            raise Refused  # in another order some product overflows, or underflows
    if normalised(proto, value) == 2:
        raise Refused  # ±1 whatever two elements are: nothing tells how far rounding of their mean moves that
    if op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceLogSum", "ReduceLogSumExp", "ArgMax", "ArgMin") \
            and value.size == 0:
        raise Refused  # of nothing
