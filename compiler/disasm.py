"""A Program as people read it: one line a descriptor, the memory map, the weights."""

from collections.abc import Callable, Iterator

from penstock.compiler.estimate.activity import decode, out_size, pool_size
from penstock.program.core.config import ALL_CHANNELS
from penstock.program.core.descriptor import Descriptor, GateKind, Op
from penstock.program.network.package import Package


def listing(package: Package) -> str:
    """The listing of a program, lines ended by newlines."""
    lines = [*_header(package), "", *_code(package), "", *_memory(package), "", *_gates(package)]
    return "\n".join(lines) + "\n"


def _header(package: Package) -> Iterator[str]:
    meta, config = package.meta, package.config
    image, result = meta["input"], meta["output"]
    shape = " x ".join(map(str, image["shape"]))
    yield f"; {meta['network']}, {meta['schedule']}, for {config.name} ({config.hash:#010x})"
    if meta["images"] > 1:
        yield f"; {meta['images']} images a run"
    yield (
        f"; input  {image['name']}: {shape} {_type(image['signed'])} * {image['scale']:.6g}, "
        f"{image['bytes']} bytes an image"
    )
    yield (
        f"; output {result['name']}: {result['classes']} {_type(result['signed'])} * "
        f"{result['scale']:.6g}, at byte {result['offset']} of {meta['record_bytes']}"
    )
    yield f"; {package.n_descriptors} descriptors, {len(package.weights)} bytes of weights"


def _type(signed: int) -> str:
    return "int8" if signed else "uint8"


def _code(package: Package) -> Iterator[str]:
    owner = {}
    for gate in package.meta["gates"]:
        for index in range(gate["count"]):
            owner[gate["score"] + index] = f"{gate['name']}[{index}]"
    for index, (d, layer) in enumerate(zip(decode(package), package.meta["layers"], strict=True)):
        op = Op(d.op)
        text = _OPERANDS[op](d, owner)
        predicate = _predicate(d, owner)
        yield f"{index:4d}  {op.name:<7s} {layer['name']:<32s} {text}{predicate}"


def _predicate(d: Descriptor, owner: dict[int, str]) -> str:
    if not d.pred_en:
        return ""
    action = "no input" if d.pred_empty else "skip"
    test = "!=" if d.pred_not else "=="
    return f"  if {owner.get(d.pred_slot, d.pred_slot)} {test} 0: {action}"


def _list(selector: int) -> str:
    return "" if selector == ALL_CHANNELS else f" of list{selector}"


def _conv(d: Descriptor, owner: dict[int, str]) -> str:
    rows, columns = out_size(d)
    parts = [
        f"{d.kernel}x{d.kernel}/{2 if d.polyphase else 1}{' depthwise' if d.depthwise else ''}",
        f"{d.cin}{_list(d.in_list)} x {d.height} x {d.width} {_type(d.src_signed)} @{d.src:#x}",
        f"-> {d.cout}{_list(d.out_list)} x {rows} x {columns} @{d.dst:#x}",
        f"clamp {d.clamp_lo}..{d.clamp_hi}",
    ]
    if d.pad_value:
        parts.append(f"off the map {d.pad_value - (d.pad_value & 128) * 2 * d.src_signed}")
    if d.res_en:
        parts.append(f"+ {_type(d.res_signed)} in place{', after int8' if d.res_sat8 else ''}")
    if d.fold_en:
        scope = "channel" if d.fold_channel else "block"
        parts.append(f"fold {scope} {owner.get(d.fold_slot, d.fold_slot)}")
    if d.pool_en:
        parts.append(f"sums @{d.pool_base}")
    if d.has_table:
        parts.append("table")
    parts.append(f"{'rows' if d.w_rows else 'groups'} @{d.w_addr:#x}+{d.w_stride}")
    return ", ".join(parts)


_KINDS = {GateKind.RELU1: "ReLU-1", GateKind.BINARY: "binary", GateKind.SIGMOID: "sigmoid"}


def _dense(d: Descriptor, owner: dict[int, str]) -> str:
    text = f"{d.cin} sums @{d.pool_base} -> {d.cout} "
    weights = f", weights @{d.w_addr:#x} of gate memory"
    if d.op == Op.DENSE:
        numbers = "int16" if d.wide else "bytes"
        return f"{text}{numbers} @{d.dst:#x}, clamp {d.clamp_lo}..{d.clamp_hi}{weights}"
    kind = _KINDS[d.score_kind]
    start = f"goes on at channel {d.src}" if d.src else f"from {d.list_from}"
    survivors = "" if d.out_list == ALL_CHANNELS else f", list{d.out_list} {start}"
    survivors += ", unless those before it are 0" if d.stops else ""
    return f"{text}scores @{d.dst} ({owner.get(d.dst, '')}), {kind}{survivors}{weights}"


def _move(d: Descriptor, owner: dict[int, str]) -> str:
    match Op(d.op):
        case Op.LOAD:
            return f"{d.length} bytes of input + {d.ddr} -> @{d.dst:#x}"
        case Op.GLOAD if d.loads_table:
            return f"{d.length} bytes of weights + {d.w_addr:#x} -> table"
        case Op.GLOAD:
            return f"{d.length} bytes of weights + {d.w_addr:#x} -> gate memory @{d.dst:#x}"
        case Op.STORE:
            source = "scores" if d.from_scores else ""
            return f"{d.length} bytes of {source}@{d.src:#x} -> record + {d.ddr}"
        case _:
            return f"next image at {d.length}"


def _copy(d: Descriptor, owner: dict[int, str]) -> str:
    if d.interleaves:
        return (
            f"{d.cout} x 4 planes @{d.src:#x} + {d.phase_stride} p -> "
            f"{d.cout} x {d.height} x {d.width} @{d.dst:#x}"
        )
    rows = ("", " (even rows)", " (odd rows)")[d.variant]
    return (
        f"{d.cout} x {d.height} x {d.width}{rows} @{d.src:#x} -> polyphase @{d.dst:#x}, "
        f"planes of {d.phase_stride}"
    )


def _pool(d: Descriptor, owner: dict[int, str]) -> str:
    stride = 2 if d.stride2 else 1
    kind = f"average * {d.w_addr & 0xFFFF} >> {d.w_addr >> 16}" if d.average else "maximum"
    rows, columns = pool_size(d)
    return (
        f"{d.kernel}x{d.kernel}/{stride} pad {d.pad} {kind}, {d.cout} x {d.height} x {d.width} "
        f"{_type(d.src_signed)} @{d.src:#x} -> {rows} x {columns} @{d.dst:#x}"
    )


def _exit(d: Descriptor, owner: dict[int, str]) -> str:
    stride = "" if d.src_stride == d.number_bytes else f" + {d.src_stride} i"
    kind = "int16" if d.wide else _type(d.src_signed)
    return (
        f"{d.cin} {kind} @{d.src:#x}{stride}, table @{d.w_addr:#x} of gate memory, "
        f"sum <= {d.w_stride}: go on at {d.length}"
    )


_OPERANDS: dict[Op, Callable[[Descriptor, dict[int, str]], str]] = {
    Op.LOAD: _move,
    Op.GLOAD: _move,
    Op.STORE: _move,
    Op.HALT: _move,
    Op.CONV: _conv,
    Op.GATE: _dense,
    Op.DENSE: _dense,
    Op.COPY: _copy,
    Op.POOL: _pool,
    Op.EXIT_IF: _exit,
}


def _memory(package: Package) -> Iterator[str]:
    blocks = package.meta["memory"]
    used = max((block["address"] + block["bytes"] for block in blocks), default=0)
    total = package.config.fmem_bytes
    yield f"; feature memory: {used} of {total} bytes"
    loop = decode(package)[-1].length
    for block in sorted(blocks, key=lambda block: (block["address"], block["steps"])):
        first, last = (loop + step for step in block["steps"])
        row = f", part of {block['row']}" if "row" in block else ""
        yield (
            f";   @{block['address']:#07x} {block['bytes']:7d} bytes, "
            f"descriptors {first:3d}..{last:3d}: {block['name']}{row}"
        )


def _gates(package: Package) -> Iterator[str]:
    gates = package.meta["gates"]
    yield f"; gate scores: {sum(gate['count'] for gate in gates)}"
    for gate in gates:
        place = f"@{gate['score']:<5d} {gate['count']:5d} at byte {gate['offset']}"
        yield f";   {place}: {gate['name']}"
