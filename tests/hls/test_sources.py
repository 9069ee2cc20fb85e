"""The C++ of the core: what a synthesiser takes, no warning, the registers of the register map."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from penstock.hls.sources import (
    CXX_FLAGS,
    MEMORY,
    PLAIN_BUS,
    SOURCE_DIR,
    VITIS_BUS,
    Types,
    headers,
    include_flags,
    one_unit,
    sources,
)
from penstock.program.core.config import CONFIGS, get_config
from penstock.program.core.descriptor import FIELDS, Descriptor, Op
from penstock.program.core.registers import REGISTERS
from penstock.program.generate.cplusplus import CONFIG_HEADER, config_header

#: The fast C simulation alone has this one.
FLAT = SOURCE_DIR / MEMORY[Types.PLAIN] / "ps_memory.h"

FILES = [
    *sources(),
    *(path for path in headers(Types.PLAIN) if path != FLAT),
    *headers(Types.AP)[-2:],
]

#: What a synthesiser refuses, or this template does without.
FORBIDDEN = {
    "dynamic memory": r"\b(new|delete|malloc|calloc|realloc|free)\b",
    "virtual functions": r"\b(virtual|dynamic_cast|typeid)\b",
    "exceptions": r"\b(throw|try|catch)\b",
    "containers and streams": r"\bstd::(?!u?int)|#include <(vector|string|map|iostream|algorithm)>",
    "pointers to pointers": r"\*\s*\*\s*\w+\s*[,;)]|\w+\s*\*\s*\*",
    "function pointers": r"\(\s*\*\s*\w+\s*\)\s*\(",
    "internal streams": r"hls::|hls_stream|\bDATAFLOW\b",
    "what an open compiler lacks": r"hls_math|hls_vector|ap_axi|[\w\])]\.(?!range\()\w+\(",
    "a slice that is not cast": r"(?<!_t\()\b\w+\.range\([^)]*\)(?! =)",
    "a part of a signed number": r"\bap_int<\d+>&? \w+\b[^;]*\.range\(",
    "floating point": r"\b(float|double)\b",
    "goto": r"\bgoto\b",
    "forks": r"^\s*#\s*(if|ifdef|elif|else)\b",
}


def code_of(path: Path) -> str:
    """The file without comments and strings."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    return re.sub(r'"[^"\n]*"', '""', text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_synthesiser_takes_it(path: Path, what: str) -> None:
    code = re.sub(r"#include \"[^\n]*", "", code_of(path))
    found = re.search(FORBIDDEN[what], code, re.MULTILINE)
    assert found is None, f"{path.name}: {what}: {found and found[0]}"


#: One line of each.
SAMPLES = {
    "dynamic memory": "int* x = new int[4];",
    "virtual functions": "struct A { virtual void f(); };",
    "exceptions": "throw 3;",
    "containers and streams": "std::vector<int> x;",
    "pointers to pointers": "void f(int** x);",
    "function pointers": "int (*f)(int);",
    "internal streams": "hls::stream<int> x;",
    "what an open compiler lacks": "int x = beat.get_bit(3);",
    "a slice that is not cast": "int x = beat.range(7, 0);",
    "a part of a signed number": "int f(ap_int<9> x) { return int(x.range(3, 0)); }",
    "floating point": "float x = 3;",
    "goto": "goto end;",
    "forks": "#ifdef __SYNTHESIS__",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_is_forbidden_is_found(what: str) -> None:
    assert re.search(FORBIDDEN[what], SAMPLES[what], re.MULTILINE)
    fine = "byte_t(beat.range(7, 0)); beat.range(63, 32) = high; for (int i = 0; i < new_n; ++i) {"
    assert not re.search(FORBIDDEN[what], fine, re.MULTILINE)


#: What an open compiler refuses: a text filter takes the lines out.
FILTERED = re.compile(
    r"^#pragma HLS (PIPELINE|UNROLL|INTERFACE s_axilite|INTERFACE m_axi).*$", re.M
)
#: What it takes, or reads over.
TAKEN = {"ARRAY_PARTITION", "BIND_STORAGE", "BIND_OP", "LOOP_TRIPCOUNT", "DEPENDENCE", "INLINE"}


def test_the_sources_without_the_lines_that_an_open_compiler_refuses(tmp_path: Path) -> None:
    """Nothing else goes with such a line, and what is left is plain C++14."""
    (tmp_path / CONFIG_HEADER).write_text(config_header(get_config("z7020")))
    for path in [*sources(), *headers(Types.AP)]:
        text = FILTERED.sub("", path.read_text())
        (tmp_path / path.name).write_text(text)
        assert set(re.findall(r"#pragma HLS (\w+)", text)) <= TAKEN, path.name
        assert not re.search(r"offset=slave|port=return|\bDATAFLOW\b", text), path.name
    (tmp_path / "ps_types.h").write_text((SOURCE_DIR / "types_plain" / "ps_types.h").read_text())
    flags = ["-std=c++14", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unused-label"]
    flags += ["-Wno-unknown-pragmas", "-fwrapv", "-fsyntax-only", f"-I{tmp_path}"]
    units = [str(tmp_path / path.name) for path in sources()]
    done = subprocess.run(["g++", *flags, *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_ports_have_types_of_one_size_in_both_compilers() -> None:
    """Whole 64-bit beats and plain integers: an ap type of other widths has another size."""
    plain = (SOURCE_DIR / PLAIN_BUS / "ps_bus.h").read_text()
    assert "typedef const beat_t* read_port_t;" in plain
    assert "typedef beat_t* write_port_t;" in plain
    exact = (SOURCE_DIR / Types.AP.value / "ps_types.h").read_text()
    assert "typedef ap_uint<64> beat_t;" in exact
    declared = re.search(r"void penstock\(([^)]*)\)", (SOURCE_DIR / "penstock.h").read_text())
    assert declared
    kinds = {" ".join(part.split()[:-1]) for part in declared[1].split(",")}
    assert kinds == {"ps::read_port_t", "ps::write_port_t", "uint32_t", "uint32_t*"}


def functions() -> dict[str, str]:
    """Every function of the sources by name, with its body."""
    found = {}
    for path in FILES:
        for match in re.finditer(r"^[\w:&<>* ]*?\b(\w+)\([^;{}]*\) \{\n", code_of(path), re.M):
            body = code_of(path)[match.end() :]
            found[match[1]] = body.partition("\n}\n")[0]
    return found


def test_nothing_is_recursive() -> None:
    bodies = functions()
    assert {"penstock", "convolve", "take_next", "check", "read_window"} <= set(bodies)
    calls = {
        name: {other for other in bodies if re.search(rf"\b{other}\(", body)}
        for name, body in bodies.items()
    }
    reached = calls
    for _ in bodies:
        reached = {
            name: seen.union(*(calls[other] for other in seen)) for name, seen in reached.items()
        }
    assert [name for name, seen in reached.items() if name in seen] == []


#: A loop: its label's line, its head, the lines of its body.
LOOP = re.compile(r"^(.*)\n( *)((?:for|while) \(.*)\n((?:.*\n){3})", re.M)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_loop_has_a_label_and_a_bound(path: Path) -> None:
    """Bounded by a constant, or with a trip count."""
    for label, indent, head, body in LOOP.findall(path.read_text()):
        assert re.fullmatch(r" *\w+:", label), f"{path.name}: {head} has no label"
        constant = re.search(r"< ([A-Z_]+( / 2)?|DESCRIPTOR_WORDS / 2);", head) or "P_OC" in head
        assert constant or "LOOP_TRIPCOUNT" in body, f"{path.name}: {label.strip()} has no bound"
        assert len(indent) % 2 == 0


def test_pragmas_stand_on_their_own_line_and_inside_a_function() -> None:
    known = {
        *("INLINE", "PIPELINE", "UNROLL", "INTERFACE", "ARRAY_PARTITION", "BIND_STORAGE"),
        *("LOOP_TRIPCOUNT", "DEPENDENCE", "BIND_OP"),
    }
    for path in FILES:
        for line in path.read_text().splitlines():
            if "#pragma" in line:
                match = re.match(r"#pragma HLS (\w+)", line)
                assert match and match[1] in known, f"{path.name}: {line}"
                assert not line.endswith("\\")


def test_the_ports_of_a_bundle_have_equal_options() -> None:
    """A tool takes one set of options for a bundle, and drops others without an error."""
    text = (SOURCE_DIR / "penstock.cpp").read_text()
    options = re.findall(r"INTERFACE m_axi port=\w+ (.*) depth=\w+(.*)", text)
    assert len(options) == 4
    assert len(set(options)) == 1
    assert "num_read_outstanding=MAX_OUTSTANDING" in options[0][1]


def test_both_buses_have_the_same_names() -> None:
    """The wrapper of explicit bursts and the one on pointers: functions, and what they take."""
    names = []
    for bus in (PLAIN_BUS, VITIS_BUS):
        text = code_of(SOURCE_DIR / bus / "ps_bus.h")
        found = re.findall(r"inline (\w+) (\w+)\(([^)]*)\)", text)
        names.append(
            [
                (kind, name, [part.split()[0] for part in arguments.split(",")])
                for kind, name, arguments in found
            ]
        )
    assert len(names[0]) == 6
    assert names[0] == names[1]


MEMORY_BENCH = """
#include <cstdio>
#include <random>
namespace banks {
using namespace ::ps;
#include "banks/ps_memory.h"
}
#undef PS_MEMORY_H
namespace flat {
using namespace ::ps;
#include "flat/ps_memory.h"
}
using namespace ps;
fmem_t one, two;
int main() {
  std::mt19937 next(SEED);
  for (int round = 0; round < 20000; ++round) {
    // Around the end of the memory, where addresses wrap, as often as anywhere.
    const uint32_t address = next() % 2 ? next() % FMEM_BYTES : FMEM_BYTES - next() % (2 * WB);
    byte_t bytes[FB], a[WB], b[WB];
    for (byte_t& byte : bytes) byte = byte_t(next());
    const uint32_t count = next() % (FB + 1), wanted = 1 + next() % WB;
    banks::ps::write_bytes(one, address, bytes, count);
    flat::ps::write_bytes(two, address, bytes, count);
    const uint32_t from = next() % 2 ? address - next() % WB : next();
    banks::ps::read_window(one, from, wanted, a);
    flat::ps::read_window(two, from, wanted, b);
    for (uint32_t i = 0; i < wanted; ++i) {
      if (a[i] != b[i]) return std::printf("round %d, byte %u\\n", round, i), 1;
    }
  }
}
"""


@pytest.mark.parametrize("config", ["tiny", "z7020", "zcu104"])
def test_banks_are_one_array(tmp_path: Path, config: str) -> None:
    """Both feature memories, the same writes and reads at random addresses."""
    (tmp_path / CONFIG_HEADER).write_text(config_header(get_config(config)))
    (tmp_path / "main.cpp").write_text('#include "ps_core.h"\n#include <cstring>\n' + MEMORY_BENCH)
    flags = include_flags(Types.PLAIN, tmp_path)
    seed = f"-DSEED={np.random.default_rng().integers(1 << 30)}"
    command = ["g++", "-std=c++14", "-O1", seed, *CXX_FLAGS, *flags, "main.cpp", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), seed


#: A division or remainder of g++'s intermediate code: `_7 = _5 % 576;`
DIVISION = re.compile(r"^.* = \S+ (?:/|%) (\S+);$", re.M)


@pytest.mark.parametrize("config", ["z7020x2", "zcu104"])
@pytest.mark.parametrize("unit", sources(), ids=lambda path: path.stem)
def test_nothing_is_divided(tmp_path: Path, config: str, unit: Path) -> None:
    """No divider anywhere, neither by a variable nor by a constant that is no power of two."""
    assert divisions(tmp_path, config, unit) == []


def divisions(folder: Path, config: str, unit: Path) -> list[str]:
    """Divisors that are no powers of two, after g++ has folded constants."""
    (folder / CONFIG_HEADER).write_text(config_header(get_config(config)))
    dump = folder / "dump"
    flags = ["-std=c++14", "-O1", *CXX_FLAGS, f"-fdump-tree-optimized={dump}", "-S", "-o", "out.s"]
    command = ["g++", *flags, *include_flags(Types.PLAIN, folder), str(unit)]
    subprocess.run(command, cwd=folder, check=True)
    found = DIVISION.findall(dump.read_text())
    return [by for by in found if not (by.isdigit() and int(by).bit_count() == 1)]


@pytest.mark.parametrize("expression", ["x % 576", "x / y", "x % y"])
def test_a_division_is_found(tmp_path: Path, expression: str) -> None:
    unit = tmp_path / "unit.cpp"
    unit.write_text(f"unsigned f(unsigned x, unsigned y) {{ return {expression} + y; }}\n")
    assert divisions(tmp_path, "tiny", unit) != []
    unit.write_text("unsigned f(unsigned x, unsigned y) { return x / 64 + x % 8 + y; }\n")
    assert divisions(tmp_path, "tiny", unit) == []


def test_arguments_are_the_registers() -> None:
    """Names, order and widths; the offsets are those Vitis HLS gives arguments in this order."""
    text = (SOURCE_DIR / "penstock.h").read_text()
    declared = re.search(r"void penstock\(([^)]*)\)", text)
    assert declared
    arguments = [" ".join(part.split()) for part in declared[1].split(",")]
    assert [part.split()[-1] for part in arguments] == [register.name for register in REGISTERS]
    offset = 0x10
    for argument, register in zip(arguments, REGISTERS, strict=True):
        kind = argument.rpartition(" ")[0]
        assert register.offset == offset, register.name
        if register.width == 64:
            assert kind in ("ps::read_port_t", "ps::write_port_t")
            offset += 0x0C
        else:
            assert kind == ("uint32_t*" if register.from_core else "uint32_t")
            offset += 0x10 if register.from_core else 0x08


@pytest.fixture(scope="module")
def header_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("headers")


def compile_sources(
    folder: Path, config: str, standard: str, types: Types, *flags: str
) -> subprocess.CompletedProcess[str]:
    (folder / CONFIG_HEADER).write_text(config_header(get_config(config)))
    common = ["g++", f"-std={standard}", *CXX_FLAGS, "-Werror", *flags]
    files = one_unit(sources()) if types is Types.AP else [str(path) for path in sources()]
    command = [*common, *include_flags(types, folder), *files]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("standard", ["c++14", "c++17"])
@pytest.mark.parametrize("config", CONFIGS)
def test_no_warning_with_plain_integers(header_dir: Path, config: str, standard: str) -> None:
    done = compile_sources(header_dir, config, standard, Types.PLAIN, "-O2", "-c")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("standard", ["c++14", pytest.param("c++17", marks=pytest.mark.long)])
def test_no_warning_with_ap_types(header_dir: Path, standard: str) -> None:
    done = compile_sources(header_dir, "z7020", standard, Types.AP, "-fsyntax-only")
    assert (done.returncode, done.stderr) == (0, "")


def gcc_library() -> list[str]:
    """Flags that give clang the C++ library of g++, as Vitis HLS does: the ap_types headers declare
    std::complex themselves, which clang's own library refuses."""
    command = ["g++", "-E", "-x", "c++", "-v", os.devnull]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    folders = said.partition("#include <...>")[2].partition("End of search list")[0].split("\n")
    return [f"-I{folder.strip()}" for folder in folders if "c++" in folder]


@pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None,
    reason="no ziglang: pip install penstock[hls-proof]",
)
@pytest.mark.parametrize("standard", ["c++14", "c++17"])
@pytest.mark.parametrize("types", [Types.PLAIN, pytest.param(Types.AP, marks=pytest.mark.long)])
def test_no_warning_with_clang(tmp_path: Path, standard: str, types: Types) -> None:
    (tmp_path / CONFIG_HEADER).write_text(config_header(get_config("z7020")))
    command = [sys.executable, "-m", "ziglang", "c++", f"-std={standard}", *CXX_FLAGS, "-Werror"]
    command += ["-Wno-unused-command-line-argument", "-fno-sanitize=all"]
    command += ["-nostdinc++", *gcc_library(), *include_flags(types, tmp_path)]
    command += ["-c", "-o", "object.o", *one_unit(sources())]
    cache = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path), "ZIG_LOCAL_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | cache, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "object.o").stat().st_size > 100_000  # all of them


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("P_PX = 4;", "P_PX = 3;", "sides are powers of two"),
        ("FB = 8;", "FB = 2;", "banks hold a window"),
        ("WBUF_BYTES = 1024;", "WBUF_BYTES = 1020;", "whole beats"),
        ("MAX_CHANNELS = 128;", "MAX_CHANNELS = 65536;", "taps of all fit a count_t"),
    ],
)
def test_a_wrong_configuration_does_not_compile(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = config_header(get_config("tiny"))
    assert old in text
    (tmp_path / CONFIG_HEADER).write_text(text.replace(old, new))
    unit = str(SOURCE_DIR / "ps_check.cpp")
    flags = include_flags(Types.PLAIN, tmp_path)
    done = subprocess.run(
        ["g++", "-std=c++14", "-fsyntax-only", *flags, unit], capture_output=True, text=True
    )
    assert done.returncode
    assert message in done.stderr


def test_the_decoder_is_the_codec(tmp_path: Path) -> None:
    """Every field of random words, decoded by the generated C++ and by Python."""
    prints = "".join(f'    std::printf("%d ", int(d.{field.name}));\n' for field in FIELDS)
    (tmp_path / CONFIG_HEADER).write_text(config_header(get_config("tiny")))
    (tmp_path / "main.cpp").write_text(
        f'#include <cstdio>\n#include "{CONFIG_HEADER}"\n'
        "int main() {\n  uint32_t words[16];\n"
        "  while (std::fread(words, 64, 1, stdin) == 1) {\n"
        f"    const ps::Descriptor d = ps::decode(words);\n{prints}  }}\n}}\n"
    )
    done = subprocess.run(["g++", "main.cpp", "-o", "main"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    limits = {
        field.name: (-(1 << (field.width - 1)), (1 << (field.width - 1)) - 1)
        if field.signed
        else (0, (1 << field.width) - 1)
        for field in FIELDS
    }
    cases = [
        Descriptor.make(Op.CONV),
        *(Descriptor(values={n: v[i] for n, v in limits.items()}) for i in (0, 1)),
    ]
    cases += [
        Descriptor.make(Op.LOAD, **{name: limits[name][0] or 1}) for name in limits if name != "op"
    ]
    data = b"".join(case.encode() for case in cases)
    got = subprocess.run([tmp_path / "main"], input=data, capture_output=True, check=True)
    expected = [case.values[field.name] for case in cases for field in FIELDS]
    signed = [value - (1 << 32) if value >> 31 > 0 else value for value in expected]
    assert list(map(int, got.stdout.split())) == signed
