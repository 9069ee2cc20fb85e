"""The program file (`.pspkg`): header, descriptors, weights, metadata; checked by CRC.

    0   8  magic "PENSTOCK"        24  4  bytes of the weight blob
    8   4  format version          28  4  bytes of the metadata (UTF-8 JSON)
    12  4  configuration hash      32  4  CRC-32 of the whole file with this field zero
    16  4  descriptors             36 28  zero
    20  4  zero                    64     descriptors, weights, metadata

All little endian.  What the metadata holds is documented in docs/program.md.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import struct
import zlib
from typing import cast

from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import require
from penstock.program.core.config import CONFIGS, ConfigError, HwConfig
from penstock.program.core.descriptor import DESCRIPTOR_BYTES
from penstock.program.network.meta import ProgramMeta
from penstock.program.network.metadata import check_metadata, parse_metadata

MAGIC = b"PENSTOCK"
FORMAT_VERSION = 2
#: Of a file whose metadata has parts for the host, or zero points: a reader of the other one would
#: leave them out.
ENDS_VERSION = 3
HEADER = struct.Struct("<8s7I28x")
_CRC_OFFSET = 32


class PackageError(PenstockError):
    """A program file that cannot be used: what is wrong with it and what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A Program for one hardware configuration."""

    config_hash: int
    descriptors: bytes
    weights: bytes
    meta: ProgramMeta

    @property
    def n_descriptors(self) -> int:
        """Descriptors in the program."""
        return len(self.descriptors) // DESCRIPTOR_BYTES

    @property
    def config(self) -> HwConfig:
        """The configuration it was built for: one of CONFIGS, or the user's own in the metadata.

        PackageError if this release has none such.
        """
        for config in CONFIGS.values():
            if config.hash == self.config_hash:
                return config
        own = self.meta.get("hardware")
        with contextlib.suppress(TypeError, KeyError, AttributeError, ConfigError):
            # The board's copy has no such module, and the driver asks for no sizes.
            config = require("penstock.program.core.hardware").own_config(own)
            if config.hash == self.config_hash:
                return config
        raise PackageError(
            f"program is for hardware configuration {self.config_hash:#010x}, unknown here",
            hint="compile the network again with this release",
        )

    def require(self, config: HwConfig) -> None:
        """PackageError unless the program was built for `config`."""
        if self.config_hash != config.hash:
            name = f"the file of '{config.name}'" if config.is_own else config.name
            raise PackageError(
                f"program is for hardware configuration {self.config_hash:#010x}, "
                f"'{config.name}' is {config.hash:#010x}",
                hint=f"compile the network again with --config {name}",
            )

    def encode(self) -> bytes:
        """The file's bytes."""
        meta = json.dumps(self.meta, sort_keys=True).encode()
        body = self.descriptors + self.weights + meta
        fields = (self.config_hash, self.n_descriptors, 0, len(self.weights), len(meta))
        numbers = (self.meta.get(key) for key in ("input", "output"))
        moved = any(isinstance(each, dict) and "zero_point" in each for each in numbers)
        ends = moved or bool({"head", "tails", "outputs"} & self.meta.keys())
        version = ENDS_VERSION if ends else FORMAT_VERSION
        blank = HEADER.pack(MAGIC, version, *fields, 0) + body
        return HEADER.pack(MAGIC, version, *fields, zlib.crc32(blank)) + body

    def save(self, path: pathlib.Path) -> None:
        """Write the file; a reader never sees half of it."""
        temporary = path.with_name(path.name + ".part")
        temporary.write_bytes(self.encode())
        os.replace(temporary, path)

    @classmethod
    def decode(cls, data: bytes, source: str = "program") -> "Package":
        """Parse a file's bytes.  PackageError names `source` and the defect."""
        if len(data) < HEADER.size or data[:8] != MAGIC:
            raise PackageError(f"{source}: not a Penstock program (bad magic or too short)")
        _, version, config_hash, count, _, n_weights, n_meta, crc = HEADER.unpack_from(data)
        if version not in (FORMAT_VERSION, ENDS_VERSION):
            raise PackageError(
                f"{source}: format version {version}, this release reads {FORMAT_VERSION} and "
                f"{ENDS_VERSION}",
                hint="compile the network again",
            )
        expected = HEADER.size + count * DESCRIPTOR_BYTES + n_weights + n_meta
        if len(data) != expected:
            raise PackageError(
                f"{source}: {len(data)} bytes where its header promises {expected} (truncated?)",
                hint="copy or compile it again",
            )
        blank = data[:_CRC_OFFSET] + bytes(4) + data[_CRC_OFFSET + 4 :]
        if zlib.crc32(blank) != crc:
            raise PackageError(f"{source}: checksum differs (corrupted)", hint="compile it again")
        weights_at = HEADER.size + count * DESCRIPTOR_BYTES
        meta_at = weights_at + n_weights
        try:
            meta = cast(ProgramMeta, parse_metadata(data[meta_at:]))
        except ValueError as error:
            raise PackageError(f"{source}: its metadata {error}", hint="compile it again") from None
        return cls(
            config_hash=config_hash,
            descriptors=data[HEADER.size : weights_at],
            weights=data[weights_at:meta_at],
            meta=meta,
        )

    @classmethod
    def load(cls, path: pathlib.Path) -> "Package":
        """Read a file.  PackageError if it is missing or defective."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PackageError(f"{path}: {error.strerror}") from error
        package = cls.decode(data, str(path))
        try:
            check_metadata(package.meta, package.n_descriptors)
        except ValueError as error:
            raise PackageError(f"{path}: its metadata {error}", hint="compile it again") from None
        return package
