#!/usr/bin/env python3
"""Reads what save(), save_tensors() or save_npz() of wengert wrote, as a state_dict for PyTorch.

    import import_into_pytorch
    state = import_into_pytorch.read("mlp.safetensors", {"hidden.": "fc1.", "output.": "fc2."})
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})

    python3 import_into_pytorch.py mlp.safetensors                       # lists what is inside

Needs numpy.
"""

import json
import struct
import sys

import numpy

TYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "BOOL": "?"}


def read(path, prefixes={}):
    """name -> array; where a name begins with a key of `prefixes`, that beginning is replaced."""
    if path.endswith(".npz"):
        with numpy.load(path) as file:
            arrays = dict(file)
    else:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header, data = json.loads(file.read(length)), file.read()
        header.pop("__metadata__", None)
        arrays = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            arrays[name] = numpy.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"]).copy()
    renamed = {}
    for name, array in arrays.items():
        prefix = next((p for p in prefixes if name.startswith(p)), "")
        renamed[prefixes.get(prefix, "") + name[len(prefix) :]] = array
    return renamed


if __name__ == "__main__":
    for name, array in read(sys.argv[1]).items():
        print(f"{name}  {array.dtype} {list(array.shape)}")
