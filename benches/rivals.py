"""Other engines evaluating the same network, one in a process of its own.

    python benches/rivals.py NAME --manifest MODEL.toml

NAME is one of ort, ncnn, openvino, torch. Answers requests on standard input, one line of JSON
each, as `benches/engine.rs` does:

    about NAME
    run NAME SIDE THREADS INSTANCES REPEATS
    output NAME SIDE T IN OUT

Everything is single precision: the engines that would round to half precision or bfloat16 where
the processor can are told not to. What goes in and comes out is in each engine's own form, so
that nothing but the evaluation is timed.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from pathlib import Path

import numpy as np

TRAIN = Path(__file__).parent.parent / "models" / "train"
# As in engine.rs: tiles per instance in one measurement of several instances.
BATCH = 4


class Rival:
    """One engine. `folder` holds what it makes of the model, where it makes any.

    `evaluator(height, width, threads)` returns a function that takes x [3,h,w] and t and returns
    another, without arguments, that evaluates the network and returns v [3,h,w].
    """

    def __init__(self, manifest, folder=None):
        self.manifest = tomllib.loads(manifest.read_text())
        self.onnx = manifest.with_name(self.manifest["file"])

    def prepare(self, threads):
        """What must be said to the engine on the thread that will use it."""


class Ort(Rival):
    def __init__(self, manifest, folder=None):
        super().__init__(manifest)
        import onnxruntime
        self.ort = onnxruntime
        self.about = f"ONNX Runtime {onnxruntime.__version__}"

    def evaluator(self, height, width, threads):
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        for name, size in (("n", 1), ("h", height), ("w", width)):
            options.add_free_dimension_override_by_name(name, size)
        session = self.ort.InferenceSession(str(self.onnx), options, providers=["CPUExecutionProvider"])
        names = self.manifest["input"], self.manifest["conditioning_input"]

        def bind(x, t):
            feed = dict(zip(names, (x[None], np.array([t], np.float32))))
            return lambda: session.run(None, feed)[0][0]
        return bind


class OpenVino(Rival):
    def __init__(self, manifest, folder=None):
        super().__init__(manifest)
        import openvino
        self.core = openvino.Core()
        self.model = self.core.read_model(self.onnx)
        compiled = self.compile(64, 64, 1)
        kinds = {node.get_rt_info()["primitiveType"].astype(str)
                 for node in compiled.get_runtime_model().get_ops()
                 if node.get_rt_info()["layerType"].astype(str) == "Convolution"}
        version = openvino.get_version().split("-")[0]
        self.about = f"OpenVINO {version}, convolutions: {', '.join(sorted(kinds))}"

    def compile(self, height, width, threads):
        model = self.model.clone()
        model.reshape({self.manifest["input"]: [1, 3, height, width],
                       self.manifest["conditioning_input"]: [1]})
        # Pinned to cores or not, one tile and two are equally fast.
        return self.core.compile_model(model, "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY",
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False})

    def evaluator(self, height, width, threads):
        request = self.compile(height, width, threads).create_infer_request()

        def bind(x, t):
            request.set_tensor(self.manifest["input"], self.tensor(x[None]))
            request.set_tensor(self.manifest["conditioning_input"], self.tensor(np.array([t], np.float32)))

            def run():
                request.infer()
                return request.get_output_tensor(0).data[0]
            return run
        return bind

    @staticmethod
    def tensor(array):
        import openvino
        return openvino.Tensor(np.ascontiguousarray(array))


class Torch(Rival):
    """Eager, channels last, which is the faster layout here."""

    def __init__(self, manifest, folder=None):
        super().__init__(manifest)
        import torch
        self.torch = torch
        self.net = load(manifest).to(memory_format=torch.channels_last)
        self.about = f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"

    def prepare(self, threads):
        self.torch.set_num_threads(threads)

    def evaluator(self, height, width, threads):
        torch = self.torch

        def bind(x, t):
            x = torch.from_numpy(x[None].copy()).to(memory_format=torch.channels_last)
            t = torch.tensor([t], dtype=torch.float32)

            def run():
                with torch.inference_mode():
                    return self.net(x, t).contiguous()[0].numpy()
            return run
        return bind


class Ncnn(Rival):
    """Winograd, sgemm, packed layout on; every reduced precision off.

    Pooled memory, as in ncnn's own benchmark, changes nothing measurable here.
    """

    ON = ("use_winograd_convolution", "use_winograd23_convolution", "use_winograd43_convolution",
          "use_winograd63_convolution", "use_sgemm_convolution", "use_packing_layout", "lightmode")
    OFF = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed",
           "use_bf16_storage", "use_int8_inference", "use_int8_packed", "use_int8_storage",
           "use_int8_arithmetic", "use_vulkan_compute")

    def __init__(self, manifest, folder=None):
        super().__init__(manifest)
        import ncnn
        self.ncnn = ncnn
        # Nets use their pools until the end, but do not hold them.
        self.held = []
        # Goes away with this object.
        self.temporary = None if folder else tempfile.TemporaryDirectory()
        self.folder = Path(folder or self.temporary.name)
        if not (self.folder / "net.ncnn.bin").exists():
            convert_apart(manifest, self.folder)
        self.about = f"ncnn {ncnn.__version__}, f32, Winograd"

    def pools(self):
        self.held.append((self.ncnn.UnlockedPoolAllocator(), self.ncnn.PoolAllocator()))
        return self.held[-1]

    def evaluator(self, height, width, threads):
        net = self.ncnn.Net()
        for name in self.ON:
            setattr(net.opt, name, True)
        for name in self.OFF:
            setattr(net.opt, name, False)
        net.opt.num_threads = threads
        net.opt.blob_allocator, net.opt.workspace_allocator = self.pools()
        files = [str(self.folder / f"net.ncnn.{kind}") for kind in ("param", "bin")]
        if net.load_param(files[0]) or net.load_model(files[1]):
            raise RuntimeError("ncnn does not load what pnnx wrote")

        def bind(x, t):
            # Mats own their values, aligned for the widest registers, only when cloned.
            x, t = np.ascontiguousarray(x), np.array([t], np.float32)
            inputs = self.ncnn.Mat(x).clone(), self.ncnn.Mat(t).clone()

            def run():
                extractor = net.create_extractor()
                extractor.input("in0", inputs[0])
                extractor.input("in1", inputs[1])
                status, out = extractor.extract("out0")
                if status:
                    raise RuntimeError(f"ncnn: status {status}")
                return np.array(out)
            return run
        return bind


RIVALS = {"ort": Ort, "ncnn": Ncnn, "openvino": OpenVino, "torch": Torch}


def load(manifest):
    """The network of `models/train` with the weights of a shipped prior's ONNX file."""
    sys.path.insert(0, str(TRAIN))
    from shipped import network
    recipe = tomllib.loads((TRAIN / "recipe.toml").read_text())
    return network(Path(manifest).stem, recipe).eval()


def convert(manifest, folder):
    """Writes net.ncnn.param and net.ncnn.bin, for windows of any size, weights in single precision."""
    import pnnx
    import torch
    net = load(manifest)
    os.chdir(folder)
    t = torch.full((1,), 500.0)
    small, large = ((torch.zeros(1, 3, side, side), t) for side in (64, 128))
    pnnx.export(net, "net.pt", small, large, fp16=False)


def convert_apart(manifest, folder):
    """`convert` in a process of its own: PyTorch would bring its threads into this one."""
    command = [sys.executable, __file__, "convert", "--manifest", manifest, "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if not Path(folder, "net.ncnn.bin").exists():
        raise RuntimeError(f"pnnx did not convert: {done.stderr[-300:]}")


class Server:
    def __init__(self, rival):
        self.rival = rival
        self.evaluators = {}

    def evaluator(self, side, threads, instance):
        key = side, threads, instance
        if key not in self.evaluators:
            self.rival.prepare(threads)
            self.evaluators[key] = self.rival.evaluator(side, side, threads)
        return self.evaluators[key]

    def run(self, side, threads, instances, repeats):
        x = np.random.default_rng(0).standard_normal((3, side, side), dtype=np.float32)
        runs = [self.evaluator(side, threads, i)(x, 60.0) for i in range(instances)]
        times = self.one(runs[0], threads, repeats) if instances == 1 else self.several(runs, threads, repeats)
        times = sorted(times[1:])
        return {"best": times[0] * 1e3, "median": times[len(times) // 2] * 1e3}

    def one(self, run, threads, repeats):
        self.rival.prepare(threads)
        times = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        return times

    def several(self, runs, threads, repeats):
        barrier = threading.Barrier(len(runs) + 1)
        failed = []

        def work(run):
            self.rival.prepare(threads)
            for _ in range(repeats + 1):
                barrier.wait()
                try:
                    for _ in range(BATCH):
                        run()
                except Exception as error:
                    failed.append(error)
                barrier.wait()

        started = [threading.Thread(target=work, args=(run,)) for run in runs]
        for thread in started:
            thread.start()
        times = []
        for _ in range(repeats + 1):
            # Before the barrier: with all cores at work, this thread may wake late after it.
            start = time.perf_counter()
            barrier.wait()
            barrier.wait()
            times.append((time.perf_counter() - start) / (len(runs) * BATCH))
        for thread in started:
            thread.join()
        if failed:
            raise failed[0]
        return times

    def output(self, side, t, source, target):
        x = np.fromfile(source, np.float32).reshape(3, side, side)
        v = self.evaluator(side, 1, 0)(x, float(t))()
        ab = alpha_bar(self.rival.manifest)[t]
        (ab ** 0.5 * x - (1 - ab) ** 0.5 * v).astype(np.float32).tofile(target)
        return {}

    def answer(self, line):
        match line.split():
            case ["about", _]:
                return {"about": self.rival.about}
            case ["run", _, *numbers]:
                return self.run(*map(int, numbers))
            case ["output", _, side, t, source, target]:
                return self.output(int(side), int(t), source, target)
        raise ValueError(f"expected about, run or output, found {line}")


def alpha_bar(manifest):
    """`alpha_bar` at every trained timestep; the manifest's schedule must be linear in beta."""
    schedule = manifest["schedule"]
    if schedule["kind"] != "linear" or manifest["prediction"] != "v":
        raise ValueError("expected a linear schedule and a network that predicts v")
    betas = np.linspace(schedule["beta_start"], schedule["beta_end"], schedule["steps"])
    return np.cumprod(1 - betas)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=[*RIVALS, "convert"])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.name == "convert":
        return convert(args.manifest, args.folder)
    # Libraries print to standard output, too: answers have it to themselves.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        server = Server(RIVALS[args.name](args.manifest))
    except Exception as error:
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        return
    for line in sys.stdin:
        try:
            answer = server.answer(line)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
