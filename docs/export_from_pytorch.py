#!/usr/bin/env python3
"""Writes a state_dict of PyTorch as a safetensors or npz file, which load_state() and load_tensors() read.

    import export_from_pytorch
    export_from_pytorch.export(model.state_dict(), "mlp.safetensors")    # or "mlp.npz"

    python3 export_from_pytorch.py mlp.pt mlp.safetensors                # of a file that torch.save wrote

Needs numpy. Half precision becomes float32, small integers int64: the dtypes that wengert has.
"""

import json
import struct
import sys

import numpy

CODES = {"float32": "F32", "float64": "F64", "int64": "I64", "bool": "BOOL"}


def as_array(tensor):
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) in ("torch.float16", "torch.bfloat16"):
            tensor = tensor.float()
        tensor = tensor.numpy()
    array = numpy.asarray(tensor, order="C")
    if array.dtype.kind == "f" and array.dtype.itemsize < 4:
        array = array.astype("<f4")
    if array.dtype.kind in "iu":
        array = array.astype("<i8")
    return array


def export(state_dict, path):
    arrays = {name: as_array(tensor) for name, tensor in state_dict.items()}
    if path.endswith(".npz"):
        numpy.savez(path, **arrays)
        return
    header, data = {}, b""
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].itemsize):  # the widest first: all are aligned
        begin, data = len(data), data + array.tobytes()
        header[name] = {"dtype": CODES[str(array.dtype)], "shape": list(array.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps({name: header[name] for name in arrays}).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    import torch

    export(torch.load(sys.argv[1], map_location="cpu", weights_only=True), sys.argv[2])
