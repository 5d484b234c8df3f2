"""OLE compound files (.doc, .xls, .msg), written by hand: no library that we have writes them."""

import struct
from collections.abc import Mapping

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

Storage = Mapping[str, "bytes | Storage"]


def compound_file(content: Storage, *, loop: bool = False) -> bytes:
    """A file with these streams and storages ([MS-CFB] 2). With `loop`, the chain of every stream's
    sectors leads back into itself."""
    entries = _entries_of(content)
    mini = b"".join(_padded(data, _MINI) for _, data, *_ in entries if data and len(data) < _CUTOFF)
    chains = [data for _, data, *_ in entries if data is not None and len(data) >= _CUTOFF]
    sectors: list[bytes] = []
    fat: list[int] = []

    def add(data: bytes, *, loops: bool = False) -> int:
        first = len(sectors)
        pieces = _padded(data, _SECTOR)
        count = len(pieces) // _SECTOR
        sectors.extend(pieces[at : at + _SECTOR] for at in range(0, len(pieces), _SECTOR))
        fat.extend([*range(first + 1, first + count), first if loops else _END] if count else [])
        return first if count else _END

    starts = {id(data): add(data, loops=loop) for data in chains}
    mini_start = add(mini)
    mini_fat = b"".join(
        struct.pack("<I", number) for number in _mini_chains(entries, len(mini) // _MINI)
    )
    mini_fat_start = add(mini_fat + b"\xff" * (-len(mini_fat) % _SECTOR)) if mini else _END
    directory, at_mini = b"", 0
    for name, data, left, right, child in entries:
        if data is None:
            is_root = not directory
            start, size = (mini_start, len(mini)) if is_root else (0, 0)
            kind = 5 if is_root else 1
        elif len(data) < _CUTOFF:
            kind, size, start = 2, len(data), at_mini if data else _END
            at_mini += -(-len(data) // _MINI)
        else:
            kind, size, start = 2, len(data), starts[id(data)]
        encoded = name.encode("utf-16-le") + b"\0\0"
        directory += struct.pack(
            "<64sHBBIII16sIQQIQ",
            encoded, len(encoded), kind, 1, left, right, child, b"", 0, 0, 0, start, size,
        )  # fmt: skip
    directory_start = len(sectors)
    unused = struct.pack(
        "<64sHBBIII16sIQQIQ", b"", 0, 0, 0, _FREE, _FREE, _FREE, b"", 0, 0, 0, 0, 0
    )
    directory += unused * (-len(directory) % _SECTOR // 128)
    add(directory)
    fat_sectors = -(-(len(fat) + 1) // (_SECTOR // 4))
    fat_start = len(sectors)
    fat += [_FAT] * fat_sectors
    fat += [_FREE] * (-len(fat) % (_SECTOR // 4))
    sectors.append(b"".join(struct.pack("<I", number) for number in fat))
    difat = [*range(fat_start, fat_start + fat_sectors)] + [_FREE] * (109 - fat_sectors)
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII",
        _MAGIC, b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, fat_sectors, directory_start, 0, _CUTOFF,
        mini_fat_start, -(-len(mini_fat) // _SECTOR) if mini else 0, _END, 0,
    )  # fmt: skip
    return header + b"".join(struct.pack("<I", one) for one in difat) + b"".join(sectors)


_Entry = tuple[str, bytes | None, int, int, int]
"""Name, content (None for a storage), and the numbers of the left, right and first child entry."""


def _entries_of(content: Storage) -> list[_Entry]:
    entries: list[_Entry] = []

    def place(name: str, held: "bytes | Storage", right: int) -> int:
        number = len(entries)
        if isinstance(held, bytes):
            entries.append((name, held, _FREE, right, _FREE))
            return number
        entries.append((name, None, _FREE, right, _FREE))
        entries[number] = (name, None, _FREE, right, chain(held))
        return number

    def chain(held: Storage) -> int:
        following = _FREE
        # Sorted as the format wants: shorter names first. A chain of right siblings is a tree.
        for name in sorted(held, key=lambda one: (len(one), one.upper()), reverse=True):
            following = place(name, held[name], following)
        return following

    place("Root Entry", content, _FREE)
    return entries


def _mini_chains(entries: list[_Entry], count: int) -> list[int]:
    chain: list[int] = []
    for _, data, *_ in entries:
        if data and len(data) < _CUTOFF:
            number = -(-len(data) // _MINI)
            first = len(chain)
            chain += [*range(first + 1, first + number), _END]
    assert len(chain) == count
    return chain


def _padded(data: bytes, size: int) -> bytes:
    return data + b"\0" * (-len(data) % size)
