# peers.py - the engines that aicc is measured beside, each with one interface.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every engine loads a model once (the constructor) and then runs it (`run`) on
the inputs it was given, which return nothing: results are fetched by
`results`. All compute in f32: OpenVINO would choose bf16 by itself."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "harness"))


class Aicc:
    name = "aicc"

    def __init__(self, package, inputs, threads):
        import aicc_runtime

        self.session = aicc_runtime.Session(package, "cpu", threads)
        self.session.bind(inputs)
        self.run = self.session.run

    def results(self):
        return self.session.results()

    def close(self):
        self.session.close()


class OnnxRuntime:
    name = "ONNX Runtime"

    def __init__(self, model, inputs, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.inputs = inputs
        for name, array in inputs.items():
            self.binding.bind_cpu_input(name, array)
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name)
        self.names = [output.name for output in self.session.get_outputs()]

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def results(self):
        self.run()
        return dict(zip(self.names, self.binding.copy_outputs_to_cpu()))

    def close(self):
        del self.session, self.binding


class OpenVino:
    name = "OpenVINO"

    def __init__(self, model, inputs, threads):
        import openvino

        core = openvino.Core()
        loaded = core.read_model(str(model))
        # Static shapes are what it is fastest with.
        if any(port.partial_shape.is_dynamic for port in loaded.inputs):
            loaded.reshape({port.any_name: list(inputs[port.any_name].shape) for port in loaded.inputs})
        compiled = core.compile_model(loaded, "CPU", {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        })
        self.request = compiled.create_infer_request()
        self.names = [(port, next(iter(port.names))) for port in compiled.outputs]
        self.inputs = inputs
        for port in compiled.inputs:
            self.request.set_tensor(port, openvino.Tensor(inputs[port.any_name], shared_memory=True))

    def run(self):
        self.request.infer()

    def results(self):
        self.run()
        return {name: self.request.get_tensor(port).data.copy() for port, name in self.names}

    def close(self):
        del self.request


def pin_to_one_core():
    """One core that is the least likely to be interrupted: the last one."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core
