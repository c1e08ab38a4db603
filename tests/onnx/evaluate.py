#!/usr/bin/env python3
"""evaluate.py FOLDER: for every FOLDER/name.onnx, ONNX's checker, its inference of shapes (which must agree with the
shapes in the file), and the numbers of FOLDER/name.npz, from an evaluation written here in numpy after the operators'
specification. Debian 12 has onnx 1.12, which cannot run graphs yet. Where python3-opencv is installed, its networks
run the plainer models as well, as an independent runtime."""

import glob
import math
import sys

import numpy as np
import onnx
from onnx import numpy_helper

try:
    import cv2
except ImportError:
    cv2 = None
RUN_BY_OPENCV = ["mlp", "cnn"]  # version 4.6 knows float32 images and rows only

erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slices(x, starts, ends, axes=None, steps=None):
    index = [slice(None)] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for begin, end, axis, step in zip(starts, ends, axes, steps):
        # An end below -size means: beyond the first entry, going backwards.
        index[axis] = slice(int(begin), None if step < 0 and end < -x.shape[axis] else int(end), int(step))
    return x[tuple(index)]


def windows(x, kernel, strides, pads, dilations, fill, ceil=False):
    """[n, c, out..., kernel...] of x [n, c, in...]."""
    d = len(kernel)
    out = []
    for i in range(d):
        room = x.shape[2 + i] + pads[i] + pads[d + i] - dilations[i] * (kernel[i] - 1) - 1
        out.append((-(-room // strides[i]) if ceil else room // strides[i]) + 1)
        if ceil and (out[i] - 1) * strides[i] >= x.shape[2 + i] + pads[i]:
            out[i] -= 1
    last = [(o - 1) * s + dl * (k - 1) + 1 for o, s, dl, k in zip(out, strides, dilations, kernel)]
    more = [max(0, l - pads[i] - x.shape[2 + i]) for i, l in enumerate(last)]
    x = np.pad(x, [(0, 0), (0, 0)] + [(pads[i], max(more[i], pads[d + i])) for i in range(d)], constant_values=fill)
    y = np.empty(x.shape[:2] + tuple(out) + tuple(kernel), x.dtype)
    for place in np.ndindex(*kernel):
        index = tuple(slice(p * dl, p * dl + (o - 1) * s + 1, s) for p, dl, o, s in zip(place, dilations, out, strides))
        y[(slice(None),) * (2 + d) + place] = x[(slice(None), slice(None)) + index]
    return y


def conv(a, x, w, bias=None):
    d, groups = w.ndim - 2, a["group"]
    view = windows(x, w.shape[2:], a["strides"], a["pads"], a["dilations"], 0)
    outputs, inputs = w.shape[0] // groups, w.shape[1]
    axes = [1] + list(range(2 + d, 2 + 2 * d))
    parts = [
        np.tensordot(view[:, g * inputs : (g + 1) * inputs], w[g * outputs : (g + 1) * outputs],
                     (axes, list(range(1, 2 + d))))
        for g in range(groups)
    ]
    y = np.moveaxis(np.concatenate(parts, -1), -1, 1)
    return y if bias is None else y + bias.reshape((-1,) + (1,) * d)


def conv_transpose(a, x, w, bias=None):
    d, groups, outputs = w.ndim - 2, a["group"], w.shape[1]
    inputs = w.shape[0] // groups
    full = [(n - 1) * s + dl * (k - 1) + 1 + o for n, s, dl, k, o in
            zip(x.shape[2:], a["strides"], a["dilations"], w.shape[2:], a["output_padding"])]
    y = np.zeros((x.shape[0], outputs * groups, *full), x.dtype)
    for g in range(groups):
        for place in np.ndindex(*w.shape[2:]):
            part = w[(slice(g * inputs, (g + 1) * inputs), slice(None)) + place]
            index = tuple(slice(p * dl, p * dl + (n - 1) * s + 1, s) for p, dl, n, s in
                          zip(place, a["dilations"], x.shape[2:], a["strides"]))
            term = np.moveaxis(np.tensordot(x[:, g * inputs : (g + 1) * inputs], part, ([1], [0])), -1, 1)
            y[(slice(None), slice(g * outputs, (g + 1) * outputs)) + index] += term
    y = y[(slice(None), slice(None)) + tuple(slice(a["pads"][i], y.shape[2 + i] - a["pads"][d + i]) for i in range(d))]
    return y if bias is None else y + bias.reshape((-1,) + (1,) * d)


def max_pool(a, x):
    k = a["kernel_shape"]
    view = windows(x, k, a["strides"], a["pads"], a["dilations"], -np.inf, a["ceil_mode"])
    return view.max(tuple(range(-len(k), 0)))


def average_pool(a, x):
    k = a["kernel_shape"]
    one, axes = [1] * len(k), tuple(range(-len(k), 0))
    total = windows(x, k, a["strides"], a["pads"], one, 0, a["ceil_mode"]).sum(axes)
    counted = np.ones_like(x)
    if a["count_include_pad"]:
        d = len(k)
        counted = np.pad(counted, [(0, 0), (0, 0)] + [(a["pads"][i], a["pads"][d + i]) for i in range(d)],
                         constant_values=1)
        return total / windows(counted, k, a["strides"], [0] * 2 * d, one, 0, a["ceil_mode"]).sum(axes)
    return total / windows(counted, k, a["strides"], a["pads"], one, 0, a["ceil_mode"]).sum(axes)


def pad(x, pads, value):
    return np.pad(x, list(zip(pads[: x.ndim], pads[x.ndim :])), constant_values=value)


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_sum(x, axis, keepdims):
    m = x.max(axis, keepdims=True)
    y = m + np.log(np.exp(x - m).sum(axis, keepdims=True))
    return y if keepdims else y.squeeze(axis)


def reduce(f):
    return lambda a, x: f(x, axis=tuple(a["axes"]), keepdims=bool(a["keepdims"]))


def shrink(a, x):
    return np.where(x < -a["lambd"], x + a["bias"], np.where(x > a["lambd"], x - a["bias"], 0))


def extreme_index(f):
    return lambda a, x: np.expand_dims(f(x, a["axis"]), a["axis"]) if a["keepdims"] else f(x, a["axis"])


def cumsum(a, x, axis):
    axis = int(axis)
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if a["reverse"] else np.cumsum(x, axis)


def recurrent(cell):
    """One direction. cell(gates of the input, h, c, weights and bias of the state, attributes) -> h, c"""

    def run(a, x, w, r, b=None, lengths=None, h=None, c=None):
        steps, n, hidden = x.shape[0], x.shape[1], a["hidden_size"]
        b = np.zeros(2 * w.shape[1], x.dtype) if b is None else b[0]
        h = np.zeros((n, hidden), x.dtype) if h is None else h[0]
        c = np.zeros((n, hidden), x.dtype) if c is None else c[0]
        y = np.zeros((steps, 1, n, hidden), x.dtype)
        order = range(steps) if a["direction"] == b"forward" else reversed(range(steps))
        for t in order:
            next_h, next_c = cell(x[t] @ w[0].T + b[: len(b) // 2], h, c, r[0], b[len(b) // 2 :], a)
            runs = np.ones((n, 1), bool) if lengths is None else (t < lengths)[:, None]
            y[t, 0] = np.where(runs, next_h, 0)
            h, c = np.where(runs, next_h, h), np.where(runs, next_c, c)
        return y, h[None], c[None]

    return run


def lstm_cell(x, h, c, r, b, a):
    i, o, f, g = np.split(x + h @ r.T + b, 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_cell(x, h, c, r, b, a):
    (z, s, n), (hz, hs, hn) = np.split(x, 3, -1), np.split(h @ r.T + b, 3, -1)
    z = sigmoid(z + hz)
    return (1 - z) * np.tanh(n + sigmoid(s + hs) * hn) + z * h, c


def rnn_cell(x, h, c, r, b, a):
    y = x + h @ r.T + b
    return (np.maximum(y, 0) if a["activations"] == [b"Relu"] else np.tanh(y)), c


TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}
OPERATORS = {
    "Add": lambda a, x, y: x + y, "Sub": lambda a, x, y: x - y, "Mul": lambda a, x, y: x * y,
    "Div": lambda a, x, y: x / y, "Pow": lambda a, x, y: np.power(x, y),
    "Max": lambda a, x, y: np.maximum(x, y), "Min": lambda a, x, y: np.minimum(x, y),
    "Neg": lambda a, x: -x, "Abs": lambda a, x: np.abs(x), "Sign": lambda a, x: np.sign(x),
    "Floor": lambda a, x: np.floor(x), "Ceil": lambda a, x: np.ceil(x), "Round": lambda a, x: np.rint(x),
    "Sqrt": lambda a, x: np.sqrt(x), "Reciprocal": lambda a, x: 1 / x, "Exp": lambda a, x: np.exp(x),
    "Log": lambda a, x: np.log(x), "Sin": lambda a, x: np.sin(x), "Cos": lambda a, x: np.cos(x),
    "Tan": lambda a, x: np.tan(x), "Asin": lambda a, x: np.arcsin(x), "Acos": lambda a, x: np.arccos(x),
    "Atan": lambda a, x: np.arctan(x), "Sinh": lambda a, x: np.sinh(x), "Cosh": lambda a, x: np.cosh(x),
    "Asinh": lambda a, x: np.arcsinh(x), "Acosh": lambda a, x: np.arccosh(x), "Atanh": lambda a, x: np.arctanh(x),
    "Tanh": lambda a, x: np.tanh(x), "Erf": lambda a, x: erf(x), "Sigmoid": lambda a, x: sigmoid(x),
    "Relu": lambda a, x: np.maximum(x, 0), "Softplus": lambda a, x: np.logaddexp(0, x),
    "Softsign": lambda a, x: x / (1 + np.abs(x)), "Shrink": shrink,
    "Selu": lambda a, x: 1.05070102214813232421875 * np.where(x > 0, x, 1.67326319217681884765625 * np.expm1(x)),
    "Elu": lambda a, x: np.where(x > 0, x, a["alpha"] * np.expm1(x)),
    "LeakyRelu": lambda a, x: np.where(x >= 0, x, a["alpha"] * x),
    "HardSigmoid": lambda a, x: np.clip(a["alpha"] * x + a["beta"], 0, 1),
    "Clip": lambda a, x, low, high: np.clip(x, low, high),
    "Less": lambda a, x, y: x < y, "LessOrEqual": lambda a, x, y: x <= y, "Greater": lambda a, x, y: x > y,
    "GreaterOrEqual": lambda a, x, y: x >= y, "Equal": lambda a, x, y: x == y, "Not": lambda a, x: ~x,
    "Where": lambda a, c, x, y: np.where(c, x, y), "Cast": lambda a, x: x.astype(TYPES[a["to"]]),
    "Identity": lambda a, x: x, "Reshape": lambda a, x, s: x.reshape(s),
    "Transpose": lambda a, x: x.transpose(a["perm"]), "Expand": lambda a, x, s: x * np.ones(s, x.dtype),
    "Slice": lambda a, x, *s: slices(x, *s), "Concat": lambda a, *x: np.concatenate(x, a["axis"]),
    "Pad": lambda a, x, p, v: pad(x, p, v), "Gather": lambda a, x, i: np.take(x, i, a["axis"]),
    "GatherElements": lambda a, x, i: np.take_along_axis(x, i, a["axis"]),
    "MatMul": lambda a, x, y: x @ y, "Gemm": lambda a, x, w, b=0: x @ w.T + b,
    "Conv": conv, "ConvTranspose": conv_transpose, "MaxPool": max_pool, "AveragePool": average_pool,
    "Softmax": lambda a, x: softmax(x, a["axis"]), "LogSoftmax": lambda a, x: x - log_sum(x, a["axis"], True),
    "ReduceSum": lambda a, x, axes: x.sum(tuple(axes), keepdims=bool(a["keepdims"])),
    "ReduceMean": reduce(np.mean), "ReduceMax": reduce(np.max), "ReduceMin": reduce(np.min),
    "ReduceProd": reduce(np.prod),
    "ReduceLogSumExp": lambda a, x: log_sum(x, a["axes"][0], bool(a["keepdims"])),
    "ArgMax": extreme_index(np.argmax), "ArgMin": extreme_index(np.argmin), "CumSum": cumsum,
    "Unsqueeze": lambda a, x, axes: np.expand_dims(x, tuple(axes)),
    "Squeeze": lambda a, x, axes: x.squeeze(tuple(axes)),
    "LSTM": recurrent(lstm_cell), "GRU": recurrent(gru_cell), "RNN": recurrent(rnn_cell),
}


def evaluate(graph, inputs):
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer} | inputs | {"": None}
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        x = [values[name] for name in node.input]
        results = OPERATORS[node.op_type](attributes, *x)
        floats = next((v.dtype for v in x if v is not None and v.dtype.kind == "f"), None)
        for name, y in zip(node.output, results if isinstance(results, tuple) else (results,)):
            y = np.asarray(y)
            if node.op_type != "Cast" and y.dtype.kind == "f" and floats is not None:
                y = y.astype(floats)  # numpy computes with a python float, or the error function, in double
            values[name] = y
    return values


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    expected = dict(np.load(path[:-5] + ".npz"))
    inputs = {name[3:]: value for name, value in expected.items() if name.startswith("in.")}
    values = evaluate(model.graph, inputs)
    for value in model.graph.value_info:  # every operator's result has the shape that it had in wengert
        assert values[value.name].shape == tuple(d.dim_value for d in value.type.tensor_type.shape.dim), value.name
    worst = 0.0
    outputs = [v.name for v in model.graph.output]
    assert sorted("out." + name for name in outputs) == sorted(n for n in expected if n.startswith("out."))
    for name in outputs:
        y, wanted = values[name], expected["out." + name]
        assert y.dtype == wanted.dtype and y.shape == wanted.shape, (name, y.dtype, y.shape, wanted.dtype, wanted.shape)
        # A single precision attribute of a double graph (LeakyRelu's slope) keeps 7 digits only.
        error = np.max(np.abs(y.astype(float) - wanted) / (1 + np.abs(wanted))) if y.size else 0
        assert error < 2e-5, f"{name}: differs by {error:.2g}: {y.ravel()[:4]} and not {wanted.ravel()[:4]}"
        worst = max(worst, error)
    how = "evaluated"
    if cv2 and any(path.endswith(f"/{name}.onnx") for name in RUN_BY_OPENCV):
        network = cv2.dnn.readNetFromONNX(path)
        network.setInput(expected["in.x"])
        error = np.max(np.abs(network.forward() - expected["out.y"]))
        assert error < 2e-5, f"OpenCV differs by {error:.2g}"
        worst, how = max(worst, error), "evaluated, run by OpenCV"
    return f"{len(model.graph.node)} nodes, checked, {how}: differs by {worst:.1e}"


failed = 0
paths = sorted(glob.glob(sys.argv[1] + "/*.onnx"))
for path in paths:
    name = path.split("/")[-1][:-5]
    try:
        print(f"ok   onnx: {name}, {check(path)}")
    except Exception as e:
        failed += 1
        print(f"FAIL onnx: {name}: {type(e).__name__}: {e}")
sys.exit(failed > 0 or not paths)
