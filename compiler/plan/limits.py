"""Limits of one descriptor: what a layer may not exceed on a configuration."""

from penstock.compiler.errors import CompileError
from penstock.compiler.ir import Value
from penstock.compiler.plan.steps import (
    ConvStep,
    DenseStep,
    GateStep,
    MoveStep,
    PoolStep,
    layers_of,
)
from penstock.program.core.config import BEAT_BYTES, HwConfig

#: Rows or columns of a map: the address counters have ten bits.
MAX_SIDE = 1023

#: Bytes of one LOAD or GLOAD: its beats are counted in sixteen bits.
MAX_LOAD_BYTES = ((1 << 16) - 1) * BEAT_BYTES


def check_conv(
    step: ConvStep, height: int, width: int, config: HwConfig, *, in_turn: bool = False
) -> None:
    """CompileError if a convolution of a map exceeds what a descriptor of `config` can do.

    `in_turn`: it adds maps that lie so.
    """
    outputs, row_inputs, kernel, _ = step.conv.weight.shape
    inputs = row_inputs * step.conv.groups
    if in_turn:  # a depthwise convolution
        inputs, row_inputs, kernel, height, width = outputs, 1, 3, 2 * height, 2 * width
    if max(outputs, inputs) > config.max_channels:
        raise CompileError(
            f"{inputs} -> {outputs} channels, '{config.name}' has at most {config.max_channels}",
            node=step.name,
            op="Conv",
        )
    if max(height, width) > MAX_SIDE:
        raise CompileError(
            f"map of {height} x {width}, at most {MAX_SIDE} a side",
            node=step.name,
            op="Conv",
        )
    depth = config.row_taps(kernel, w_rows=step.out_list is not None)
    if row_inputs * depth > config.wbuf_bytes:
        taken = row_inputs * depth
        raise CompileError(
            f"{row_inputs} input channels of a {kernel}x{kernel} kernel take {taken} bytes "
            f"a row, the weight buffer of '{config.name}' has {config.wbuf_bytes}",
            node=step.name,
            op="Conv",
        )


def check_pool(step: PoolStep, source: Value, config: HwConfig) -> None:
    """CompileError if the map of a POOL has too many channels or is too large."""
    channels, height, width = source.shape
    if channels > config.max_channels or max(height, width) > MAX_SIDE:
        raise CompileError(
            f"map of {channels} x {height} x {width}, '{config.name}' has at most "
            f"{config.max_channels} channels and {MAX_SIDE} a side",
            node=step.name,
            op="MaxPool" if step.pool.average is None else "AveragePool",
        )


def check_move(step: MoveStep, config: HwConfig) -> None:
    """CompileError if what is moved is wider than a POOL."""
    if max(step.rows, step.columns * step.steps[1]) > MAX_SIDE:
        raise CompileError(
            f"moves {step.rows} x {step.columns} pixels, '{config.name}' has at most {MAX_SIDE} "
            "a side",
            node=step.name,
        )


def check_dense(step: GateStep | DenseStep, config: HwConfig) -> None:
    """CompileError if gates or a dense layer have too many inputs or outputs."""
    layers = layers_of(step)
    inputs, limit = layers[0].weight.shape[1], config.max_channels
    outputs = sum(len(layer.bias) for layer in layers)
    # The last layer's outputs are a list or a result: channels.  Block gates come on top.
    if max(inputs, len(layers[-1].bias)) > limit or outputs > 2 * limit - 1:
        raise CompileError(
            f"{inputs} inputs and {outputs} outputs, '{config.name}' has at most {limit}",
            node=step.name,
        )
