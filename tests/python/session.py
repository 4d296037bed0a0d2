"""A session of libsumi in this process, for tests that need one session over many runs: include/sumi/sumi.h by ctypes.
Tensors only, row-major."""

import ctypes as c
import os
import pathlib

import numpy as np

ERR_TEXT, MAX_RANK = 2032, 12
Dims = c.c_int64 * MAX_RANK


class Err(c.Structure):
    _fields_ = [("size", c.c_size_t), ("status", c.c_int), ("text", c.c_char * ERR_TEXT)]


class View(c.Structure):
    _fields_ = [
        ("size", c.c_size_t), ("name", c.c_char_p), ("data", c.c_void_p), ("dtype", c.c_int), ("rank", c.c_int),
        ("dims", c.POINTER(c.c_int64)), ("strides", c.c_void_p), ("kind", c.c_int), ("absent", c.c_bool),
        ("items", c.c_void_p), ("n_items", c.c_size_t),
    ]  # fmt: skip


class Port(c.Structure):
    _fields_ = [
        ("size", c.c_size_t), ("name", c.c_char_p), ("kind", c.c_int), ("dtype", c.c_int), ("rank", c.c_int),
        ("dims", Dims), ("dim_names", c.c_char_p * MAX_RANK), ("has_default", c.c_bool),
    ]  # fmt: skip


class SessionOptions(c.Structure):
    _fields_ = [
        ("size", c.c_size_t), ("allocator", c.c_void_p), ("device", c.c_char_p), ("threads", c.c_int),
        ("isa", c.c_char_p), ("max_plans", c.c_int), ("profile", c.c_bool), ("max_arena_bytes", c.c_size_t),
        ("precision", c.c_char_p),
    ]  # fmt: skip


class Failure(Exception):
    """The library's sentence."""


def library_path():
    program = os.environ.get("SUMI_PROGRAM")
    build = pathlib.Path(program).parent if program else pathlib.Path(__file__).resolve().parents[2] / "build"
    return build / "libsumi.so"


class Session:
    """A model and one session on it; results are copies."""

    def __init__(self, path, device="cpu", threads=1):
        self.lib = c.CDLL(str(library_path()))
        self.lib.sumi_dtype_name.restype = c.c_char_p
        self.lib.sumi_model_output_count.restype = c.c_size_t
        names = [(i, self.lib.sumi_dtype_name(i).decode()) for i in range(1, 40) if self.lib.sumi_dtype_name(i)]
        self.number = {n: i for i, n in names}
        self.dtype = {i: np.dtype(n) for i, n in names if n in np.sctypeDict}
        self.model, self.session = c.c_void_p(), c.c_void_p()
        self.call("sumi_model_load_file", str(path).encode(), None, c.byref(self.model))
        options = SessionOptions(size=c.sizeof(SessionOptions), device=device.encode(), threads=threads)
        self.call("sumi_session_new", self.model, c.byref(options), c.byref(self.session))
        self.outputs = []
        for i in range(self.lib.sumi_model_output_count(self.model)):
            port = Port(size=c.sizeof(Port))
            self.lib.sumi_model_output(self.model, c.c_size_t(i), c.byref(port))
            self.outputs.append(port.name)

    def call(self, function, *arguments):
        err = Err(size=c.sizeof(Err))
        if getattr(self.lib, function)(*arguments, c.byref(err)):
            raise Failure(err.text.decode(errors="replace"))

    def close(self):
        self.lib.sumi_session_free(self.session)
        self.lib.sumi_model_unref(self.model)

    def view(self, name, array):
        dims = (c.c_int64 * max(array.ndim, 1))(*array.shape)
        return View(
            size=c.sizeof(View), name=name.encode(), data=array.ctypes.data, dtype=self.number[array.dtype.name],
            rank=array.ndim, dims=dims,
        )  # fmt: skip

    def run(self, inputs):
        """name -> array to name -> array."""
        arrays = {n: np.ascontiguousarray(a).reshape(a.shape) for n, a in inputs.items()}
        given = (View * len(arrays))(*[self.view(n, a) for n, a in arrays.items()])
        wanted = (View * len(self.outputs))(*[View(size=c.sizeof(View), name=n) for n in self.outputs])
        counts = c.c_size_t(len(given)), c.c_size_t(len(wanted))
        self.call("sumi_session_run", self.session, given, counts[0], wanted, counts[1])
        return {v.name.decode(): self.array(v) for v in wanted}

    def array(self, view):
        shape, dtype = tuple(view.dims[: view.rank]), self.dtype[view.dtype]
        n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return np.frombuffer(c.string_at(view.data, n_bytes), dtype).reshape(shape)
