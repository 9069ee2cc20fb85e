"""The fields of a descriptor as a type checker sees them: those of descriptor.FIELDS, by a test.

At run time `Descriptor` reads them from its `values`.
"""

from typing import TYPE_CHECKING


class DescriptorFields:
    """A name a field, each an integer."""

    __slots__ = ()

    if TYPE_CHECKING:
        op: int
        pred_en: int
        pred_empty: int
        src_signed: int
        res_en: int
        res_signed: int
        res_sat8: int
        pool_en: int
        fold_en: int
        fold_channel: int
        w_rows: int
        polyphase: int
        gate_kind: int
        from_scores: int
        average: int
        stride2: int
        pred_not: int
        kernel: int
        pad: int
        variant: int
        pred_slot: int
        fold_slot: int
        in_list: int
        out_list: int
        list_from: int
        cin: int
        cout: int
        height: int
        width: int
        src: int
        dst: int
        src_stride: int
        dst_stride: int
        phase_stride: int
        pad_value: int
        clamp_lo: int
        clamp_hi: int
        w_addr: int
        w_stride: int
        split: int
        pool_base: int
        ddr: int
        length: int
