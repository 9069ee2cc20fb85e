"""CONV: layouts of maps and weights, what skips it, what its sums are."""

import dataclasses

from penstock.compiler.emit.tables import load_table
from penstock.compiler.emit.writer import Writer
from penstock.compiler.estimate.array_shape import best_split, first_mode
from penstock.compiler.ir import Conv
from penstock.compiler.plan.allocate import plane_size
from penstock.compiler.plan.limits import check_conv
from penstock.compiler.plan.pairs import taps
from penstock.compiler.plan.parts import in_turn
from penstock.compiler.plan.steps import ConvStep
from penstock.compiler.plan.weights import Bytes, pack_interleaved, pack_rows
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import BEAT_BYTES, HwConfig
from penstock.program.core.descriptor import DEPTHWISE, Descriptor, Op


def emit_conv(out: Writer, step: ConvStep) -> None:
    """A CONV, and its weights unless they are in the blob."""
    conv, config = step.conv, out.config
    source = out.plan.graph.values[conv.input]
    _, height, width = source.shape if conv.pixels == 1 else (0, 1, 1)
    pixels = _out_pixels(height, width, conv.stride) * step.images
    macs = conv.weight.shape[2] ** 2 * pixels
    height, turns = step.rows or height, in_turn(step, out.plan)
    check_conv(step, height, width, config, in_turn=turns)
    if turns:
        conv = dataclasses.replace(conv, weight=taps(conv), stride=2, order=())
        height, width, macs = 2 * height, 2 * width, 2 * pixels
    outputs, row_inputs, kernel, _ = conv.weight.shape
    image, w_stride = _packed(conv, step, config)
    src_stride, phase_stride = plane_size(out.plan.buffers[step.src], config)
    src_stride = src_stride if conv.pixels == 1 else 1
    at = out.address(step.src, step.src_first, step.src_row)
    if conv.plane:  # a map of its own there
        at += conv.plane * phase_stride
        conv, height, width = dataclasses.replace(conv, stride=1), height // 2, width // 2
    out_pixels = _out_pixels(height, width, conv.stride)
    residual = conv.residual is not None
    skip = _skip_fields(out, step)
    descriptor = Descriptor.make(
        Op.CONV,
        **skip,
        src_signed=source.signed,
        res_en=residual,
        res_signed=residual and out.plan.graph.values[conv.residual or ""].signed,
        res_sat8=conv.saturate_before_add,
        pool_en=step.pool is not None,
        pool_base=_pool_base(out, step),
        w_rows=_by_rows(step),
        polyphase=conv.stride == 2,
        kernel=kernel,
        variant=DEPTHWISE if conv.depthwise else 0,
        cin=row_inputs * conv.groups,
        cout=outputs,
        height=height,
        width=width,
        src=at,
        dst=out.address(step.dst, step.dst_first, step.dst_row),
        src_stride=src_stride * step.src_step,
        dst_stride=out.stride(step.dst),
        phase_stride=phase_stride if conv.stride == 2 else 0,
        pad_value=conv.pad & 0xFF,
        clamp_lo=conv.clamp[0],
        clamp_hi=conv.clamp[1],
        w_addr=_weights_at(out, conv, image),
        w_stride=w_stride,
        split=_split(out, step, conv, out_pixels, w_stride),
        length=load_table(out, step, skip),
    )
    # Of a bundle's pairs one in `bundle` is of the same group; rows between images count not.
    counted = macs // step.bundle if step.kind in ("conv", "gate") else 0
    names = {"input": conv.input, "output": conv.output}
    out.emit(descriptor, step.name, kind=step.kind, **names, macs_per_pair=counted)


def _by_rows(step: ConvStep) -> bool:
    """Whether each output channel's weights lie together."""
    return step.out_list is not None or step.first_mode is not None


def _weights_at(out: Writer, conv: Conv, image: Bytes) -> int:
    """Where a convolution's weights are in the blob: its two forms share them."""
    key = (conv.name, image.tobytes())
    if key not in out.weights:
        out.weights[key] = out.append(image)
    return out.weights[key]


def _packed(conv: Conv, step: ConvStep, config: HwConfig) -> tuple[Bytes, int]:
    """Weights and parameters as the step reads them, and the bytes from one group to the next."""
    if _by_rows(step):
        return pack_rows(conv.weight, conv.bias, conv.requantize)
    return pack_interleaved(conv.weight, conv.bias, conv.requantize, config)


def _split(out: Writer, step: ConvStep, conv: Conv, pixels: int, w_stride: int) -> int:
    """The shapes of the array for a partial group; behind a list, those of the first one too."""
    if not out.reshape:
        return 0
    split = best_split(pixels, out.config)
    if step.first_mode is not None:
        return split | step.first_mode
    if step.out_list is not None:
        beats, one = w_stride // BEAT_BYTES, conv.depthwise
        split |= first_mode(pixels, out.config, conv.weight.shape, beats, depthwise=one)
    return split


def _pool_base(out: Writer, step: ConvStep) -> int:
    """Where the sums of a convolution's channels begin; 0 if it makes none."""
    if step.pool is None:
        return 0
    return out.allocation.pools[step.pool] + step.pool_first + step.first


def _skip_fields(out: Writer, step: ConvStep) -> dict[str, int]:
    """Predicate, fold and list fields of a CONV."""
    scores, fold = out.plan.scores, step.conv.fold
    each = fold is not None and fold.per_channel
    return {
        "pred_en": step.predicate is not None,
        "pred_slot": 0 if step.predicate is None else scores[step.predicate],
        "pred_empty": step.pred_empty,
        "pred_not": step.pred_not,
        "fold_en": fold is not None,
        "fold_slot": 0 if fold is None else scores[fold.scores] + step.first * each,
        "fold_channel": each,
        "in_list": out.list(step.in_list),
        "out_list": out.list(step.out_list),
    }


def _out_pixels(height: int, width: int, stride: int) -> int:
    return ceil_div(height, stride) * ceil_div(width, stride)
