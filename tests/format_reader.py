#!/usr/bin/env python3
"""A second reader of Retrograde stores, written from store-format.md alone.

It exists to prove that the document is complete. It reads the packs of a store and no caches, shares no code with the
program, and checks every checksum and every id on its way. Numbers like "6.2" name a chapter of store-format.md, and
words like "P6" one of its requirements.

    format_reader.py list STORE                   every workspace and every snapshot, one JSON object a line
    format_reader.py extract STORE SNAPSHOT DIR   the files, folders and symlinks of a snapshot, into a new folder
    format_reader.py check STORE                  reads and verifies everything; exit status 1 if something is wrong

It needs Python 3.9 or later and two packages from PyPI: blake3 and zstandard.
"""

import argparse
import functools
import json
import os
import sys
import zlib
from collections import Counter, defaultdict, namedtuple

import blake3
import zstandard

CONTENT, CHUNK_LIST, TREE, SNAPSHOT = 1, 2, 3, 4
KIND_WORDS = {CONTENT: "content", CHUNK_LIST: "chunk list", TREE: "tree", SNAPSHOT: "snapshot"}
RAW, ZSTD, DELTA, SPLICE = 0, 1, 2, 3
ENCODING_WORDS = ["raw", "zstd", "delta", "splice"]
FILE, FOLDER, SYMLINK = 1, 2, 3
NO_PARENT = bytes(32)

U32_MAX, U64_MAX = (1 << 32) - 1, (1 << 64) - 1
NAME_MAX, PATH_MAX, DEPTH_MAX = 1_020, 1 << 20, 8_192
OBJECT_MAX = {CONTENT: 1 << 20, CHUNK_LIST: 64 << 20, TREE: 2 << 20, SNAPSHOT: 256 << 10}
MEMBERS_MAX, FRAME_MAX, RECORD_MAX, PACK_MAX, FACTS_MAX = 4_096, 1_179_648, 68_157_440, 1 << 31, 1 << 20
DELTA_DEPTH_MAX, GENERATION_MAX, LEVEL_MAX, CHILDREN_MAX = 16, 1_023, 6, 1_024
PATH_LIST_MAX, PATHS_FACTOR, PATHS_MIN = 64 << 20, 8, 128 << 20
SET_MAX, VALUE_MAX, USER_NAME_MAX = 256 << 10, 64 << 10, 250
WALK_MAX = 10_000_000  # paths of one snapshot: the document leaves the bound to the reader (T4)


class Corrupt(Exception):
    """Bytes are not what the document says they are."""


def require(condition, problem):
    if not condition:
        raise Corrupt(problem)


def attempt(read, *arguments):
    """The value that a function reads, or nothing where the bytes are corrupt."""
    try:
        return read(*arguments)
    except Corrupt:
        return None


# ---- 1. Primitive encodings ------------------------------------------------------------------------------------------


class Reader:
    """Takes values off the front of some bytes."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def rest(self):
        return len(self.data) - self.at

    def take(self, length):
        require(length <= self.rest(), "ends too early")
        self.at += length
        return self.data[self.at - length:self.at]

    def fixed(self, length, signed=False):
        return int.from_bytes(self.take(length), "little", signed=signed)

    def uint(self, most=U64_MAX):
        """A variable-length integer, refused unless in its shortest form (F2)."""
        value = self.fixed(1)
        if value > 250:
            require(value <= 253, "an integer has an unknown width")
            length, least = {251: (2, 251), 252: (4, 1 << 16), 253: (8, 1 << 32)}[value]
            value = self.fixed(length)
            require(value >= least, "an integer is not in its shortest form")
        require(value <= most, f"{value} is over the limit of {most}")
        return value

    def signed(self):
        number = self.uint()
        return number >> 1 if number % 2 == 0 else -(number >> 1) - 1

    def flag(self):
        value = self.fixed(1)
        require(value <= 1, "a flag is neither 0 nor 1")
        return value == 1

    def bytes(self, most=U64_MAX):
        return self.take(self.uint(most))

    def text(self, least=0, most=U64_MAX):
        data = self.bytes(most)
        require(len(data) >= least, "a text is too short")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise Corrupt("a text is not UTF-8") from None

    def list(self, read, most=U64_MAX):
        """Every element takes at least one byte, so there are no more than bytes (F3)."""
        return [read() for _ in range(self.uint(min(most, self.rest())))]

    def optional(self, read):
        return read() if self.flag() else None

    def finish(self):
        require(self.rest() == 0, "bytes follow the end")


def ascend(items):
    return all(before < after for before, after in zip(items, items[1:]))


# ---- 2. Ids ----------------------------------------------------------------------------------------------------------


def object_id(kind, data):
    """The id of an object by its bytes. Nothing for a chunk list, whose id is that of the content it lists (I2)."""
    if kind == CHUNK_LIST:
        return None
    context = {TREE: "retrograde 2026-11 tree v1", SNAPSHOT: "retrograde 2026-11 snapshot v1"}.get(kind)
    return blake3.blake3(data, derive_key_context=context).digest()


# ---- 6. Packs --------------------------------------------------------------------------------------------------------

PACK_MAGIC, RECORD_MAGIC, TRAILER_MAGIC = b"\xd7RETPACK", b"\xd7REC", b"\xd7COM"
PACK_HEADER_LENGTH = 48

Member = namedtuple("Member", "kind length prefix")  # The prefix is the first half of the id.
Record = namedtuple("Record", "start payload end encoding members base crc")
Trailer = namedtuple("Trailer", "sequence length facts end")
ObjectPlace = namedtuple("ObjectPlace", "pack record position")


def record_at(pack, at):
    """The record that begins at a place of a pack (6.1)."""
    reader = Reader(pack, at)
    require(reader.take(4) == RECORD_MAGIC, "no record begins here")
    encoding, length = reader.fixed(1), reader.uint(RECORD_MAX)
    require(encoding < len(ENCODING_WORDS), "a record has an unknown encoding")

    def member():
        kind = reader.fixed(1)
        require(kind in KIND_WORDS, "an object is of an unknown kind")
        return Member(kind, reader.uint(OBJECT_MAX[kind]), reader.take(16))

    members, base = reader.list(member, MEMBERS_MAX), None
    if encoding in (DELTA, SPLICE):
        base = reader.take(16)
        require(reader.uint(GENERATION_MAX) >= 1, "a delta has no such generation")
    crc, total = reader.fixed(4), sum(member.length for member in members)
    require(len(members) == 1 or (members and encoding == ZSTD), "a record has a wrong number of members")
    require(len(members) == 1 or total <= FRAME_MAX, "a frame is over its limit")
    require(encoding != RAW or total == length, "a raw record has another length than its object")
    require(length <= reader.rest(), "a record ends past the pack")
    return Record(at, reader.at, reader.at + length, encoding, members, base, crc)


def record_is_intact(pack, record):
    crc = zlib.crc32(pack[record.start:record.payload - 4])
    return zlib.crc32(pack[record.payload:record.end], crc) == record.crc


def trailer_at(pack, at):
    """The trailer of a transaction that begins at a place of a pack (6.4)."""
    reader = Reader(pack, at)
    require(reader.take(4) == TRAILER_MAGIC, "no trailer begins here")
    sequence, length, facts, _hash = reader.uint(), reader.uint(), reader.bytes(FACTS_MAX), reader.take(16)
    return Trailer(sequence, length, facts, reader.at)


class Pack:
    """One pack: what its intact transactions hold, and what is damaged (6.6)."""

    def __init__(self, folder, number):
        self.number, self.name = number, f"{number:06}.pack"
        with open(os.path.join(folder, self.name), "rb") as file:
            self.data = file.read(PACK_MAX)
        self.store_id = attempt(self.read_header)
        self.records, self.broken, self.facts, self.damage = [], [], [], []

    def read_header(self):
        """The id of the store. Nothing where the header is damaged; another version ends the program (V1)."""
        reader = Reader(self.data)
        require(reader.take(8) == PACK_MAGIC, "it does not begin like a pack")
        version, store_id, _nonce = reader.fixed(4), reader.take(16), reader.take(16)
        require(reader.fixed(4) == zlib.crc32(self.data[:44]), "the header does not match its checksum")
        if version != 1:
            raise SystemExit(f"{self.name} is of version {version}, and this reader knows version 1")
        return store_id

    def begins(self, at):
        return at == len(self.data) or self.data[at:at + 4] in (RECORD_MAGIC, TRAILER_MAGIC)

    def scan(self, store_id, is_last):
        """Finds the transactions, going from record to record, and past damage to whatever begins next."""
        at = end = PACK_HEADER_LENGTH  # Of the last intact transaction.
        met = []  # Records after it.
        while at < len(self.data):
            record = attempt(record_at, self.data, at)
            if record and (self.begins(record.end) or record_is_intact(self.data, record)):
                met.append(record)
                at = record.end
                continue
            trailer = attempt(trailer_at, self.data, at)
            start = at - trailer.length if trailer else None
            if trailer and self.is_transaction(end, met, at, trailer, store_id):
                self.add_damage(end, start, [record for record in met if record.start < start])
                self.records += [record for record in met if record.start >= start]
                if trailer.sequence > 0:
                    self.facts.append((trailer.sequence, trailer.facts))
                at, end, met = trailer.end, trailer.end, []
            elif trailer and self.begins(trailer.end):
                at = trailer.end
            else:
                found = [self.data.find(magic, at + 1) for magic in (RECORD_MAGIC, TRAILER_MAGIC)]
                at = min((place for place in found if place >= 0), default=len(self.data))
        if not is_last:  # What is left at the end of the last pack is a torn tail (P7), and damage in any other (P8).
            self.add_damage(end, len(self.data), met)

    def is_transaction(self, end, met, at, trailer, store_id):
        """True if the trailer ends an intact transaction that begins where one may begin (P4, P12)."""
        start = at - trailer.length
        if start < end or start not in (end, at, *(record.start for record in met)):
            return False
        whole = blake3.blake3(store_id + self.data[start:trailer.end - 16])
        return whole.digest()[:16] == self.data[trailer.end - 16:trailer.end]

    def add_damage(self, start, end, met):
        """Bytes that belong to no transaction. Records in them count if their checksum is right (P6)."""
        if start < end:
            self.damage.append((start, end))
            for record in met:
                (self.records if record_is_intact(self.data, record) else self.broken).append(record)


def decompress(payload, length, prefix=b""):
    """One zstd frame without its magic number; a base is its raw content dictionary (6.3)."""
    dictionary = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    magicless = zstandard.FORMAT_ZSTD1_MAGICLESS
    decoder = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=1 << 31, format=magicless)
    try:
        data = decoder.decompress(payload, max_output_size=max(length, 1), allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Corrupt(f"it does not decompress: {error}") from None
    require(len(data) == length, "it decompresses to another length")  # P3
    return data


def splice(payload, length, base):
    """The beginning of the base, the bytes of the payload, and the end of the base (6.2, P10)."""
    reader = Reader(payload)
    beginning = reader.uint(len(base))
    between = reader.take(reader.rest())
    end = length - beginning - len(between)
    require(0 <= end <= len(base), "it has another length than its splice makes")
    return base[:beginning] + between + base[len(base) - end:]


class Store:
    """The packs of a store, read from end to end: where each object is, and the facts by sequence."""

    def __init__(self, folder):
        names = os.listdir(os.path.join(folder, "packs"))
        numbers = [int(name[:-5]) for name in names if name.endswith(".pack") and name[:-5].isdigit()]
        numbers = sorted(number for number in numbers if f"{number:06}.pack" in names and 1 <= number <= 999_999_999)
        packs = [Pack(os.path.join(folder, "packs"), number) for number in numbers]
        self.id = find_store_id(folder, packs)
        self.packs = [pack for pack in packs if pack.store_id in (self.id, None)]
        self.problems, self.facts, self.places = [], {}, defaultdict(list)
        for pack in self.packs:
            pack.scan(self.id, is_last=pack.number == numbers[-1])
            self.problems += [f"{pack.name}: the header is damaged"] if pack.store_id is None else []
            self.problems += [f"{pack.name}: bytes {start} to {end} are damaged" for start, end in pack.damage]
            for sequence, facts in pack.facts:
                self.facts.setdefault(sequence, facts)  # The first of several with one sequence counts (J6).
        # Of several copies the one in the newest pack comes first, and those in damaged records last (P13).
        for records in ("records", "broken"):
            for pack in reversed(self.packs):
                for record in getattr(pack, records):
                    for position, member in enumerate(record.members):
                        self.places[member.kind, member.prefix].append(ObjectPlace(pack, record, position))

    @functools.lru_cache(maxsize=64)
    def frame(self, pack, start):
        """All members of a record that needs no base, one after another."""
        record = record_at(pack.data, start)
        payload, length = pack.data[record.payload:record.end], sum(member.length for member in record.members)
        return payload if record.encoding == RAW else decompress(payload, length)

    def decode(self, place, depth=0):
        """The bytes of the object at a place, not yet compared with its id."""
        pack, record, position = place
        kind, length, _prefix = record.members[position]
        if record.base is None:
            start = sum(member.length for member in record.members[:position])
            data = self.frame(pack, record.start)[start:start + length]
        else:
            require(depth < DELTA_DEPTH_MAX, "its chain of deltas is too long")  # P2
            base = self.base(kind, record.base, depth + 1)
            base += object_id(SNAPSHOT, base) if kind == SNAPSHOT else b""  # P11
            make = decompress if record.encoding == DELTA else splice
            data = make(pack.data[record.payload:record.end], length, base)
        if kind == CHUNK_LIST:
            require(record_is_intact(pack.data, record), "its record does not match its checksum")  # I2
        return data

    @functools.lru_cache(maxsize=1_024)
    def base(self, kind, prefix, depth):
        """A base. It need not match its id: it is enough to check the object that is made from it (6.2)."""
        require(self.places.get((kind, prefix)), "its base is not in the store")
        return self.decode(self.places[kind, prefix][0], depth)

    def checked(self, place):
        """The bytes of the object at a place, compared with the half of its id that the record states."""
        kind, _, prefix = place.record.members[place.position]
        data = self.decode(place)
        require(kind == CHUNK_LIST or object_id(kind, data)[:16] == prefix, "its bytes do not match its id")
        return data

    @functools.lru_cache(maxsize=1_024)
    def find(self, kind, prefix):
        """An object by the first half of its id: the first copy that can be read."""
        problem = "it is not in the store"
        for place in self.places.get((kind, prefix), []):
            try:
                return self.checked(place)
            except Corrupt as error:
                problem = error
        raise Corrupt(f"{KIND_WORDS[kind]} {prefix.hex()}: {problem}")

    def object(self, kind, wanted):
        """An object by its whole id (I1)."""
        data = self.find(kind, wanted[:16])
        require(object_id(kind, data) in (wanted, None), f"{KIND_WORDS[kind]} {wanted.hex()} has another id")
        return data

    @functools.lru_cache(maxsize=16_384)
    def tree(self, tree_id):
        return decode_tree(self.object(TREE, tree_id))

    def blob(self, wanted):
        """The content of a file, piece by piece (3); the whole is compared with its id at the end (I2)."""
        if (CONTENT, wanted[:16]) in self.places:
            yield self.object(CONTENT, wanted)
            return
        reader = Reader(self.object(CHUNK_LIST, wanted))
        chunks = reader.list(lambda: (reader.take(32), reader.uint(OBJECT_MAX[CONTENT])))
        reader.finish()
        require(len(chunks) >= 2, "a chunk list has fewer than two chunks")
        whole = blake3.blake3()
        for chunk, length in chunks:
            piece = self.object(CONTENT, chunk)
            require(0 < length == len(piece), f"blob {wanted.hex()}: a chunk has another length than its list says")
            whole.update(piece)
            yield piece
        require(whole.digest() == wanted, f"blob {wanted.hex()}: its chunks do not add up to it")

    def attachment(self, attached):
        """The bytes that belong to a snapshot, kept inside or in a blob of their own."""
        return b"".join(self.blob(attached[0])) if isinstance(attached, tuple) else attached


def find_store_id(folder, packs):
    """FORMAT names the store; where it is missing, the packs do (9)."""
    path = os.path.join(folder, "FORMAT")
    if os.path.exists(path):
        with open(path, encoding="ascii", errors="replace") as file:
            title, version, store_id = (file.read().split("\n") + ["", ""])[:3]
        require((title, version) == ("retrograde store", "version 1"), "FORMAT is not that of a store of version 1")
        return bytes.fromhex(store_id[len("id "):])
    ids = {pack.store_id for pack in packs if pack.store_id}
    require(len(ids) == 1, f"FORMAT is missing, and the packs name {len(ids)} stores")
    return ids.pop()


# ---- 4. Trees --------------------------------------------------------------------------------------------------------

Entry = namedtuple("Entry", "name kind mode size id")
Child = namedtuple("Child", "name count size id")


def is_name(name):
    return 0 < len(name) <= NAME_MAX and name not in (b".", b"..") and b"/" not in name and b"\0" not in name


def decode_tree(data):
    """One tree object: its level, and its entries or the lists below it."""
    reader = Reader(data)
    level = reader.fixed(1)
    require(level <= LEVEL_MAX, "a tree has too many levels")

    def entry():
        kind, mode = reader.fixed(1), reader.uint(0o7777)
        require(kind in (FILE, FOLDER, SYMLINK), "an entry is of an unknown kind")
        require(kind != SYMLINK or mode == 0, "a symlink has a mode")
        return Entry(reader.bytes(), kind, mode, reader.uint(), reader.take(32))

    def child():
        return Child(reader.bytes(), reader.uint(), reader.uint(), reader.take(32))

    items = reader.list(child, CHILDREN_MAX) if level else reader.list(entry)
    reader.finish()
    names = [item.name for item in items]
    require(all(map(is_name, names)) and ascend(names), "names of a folder are wrong or out of order")  # T1
    require(items or not level, "a node is empty")
    return level, items


def entries_of(store, tree):
    """All entries of a folder, also of one that is split (T3)."""
    lists, last = [(None, None, tree)], b""
    while lists:
        wanted_level, first, list_id = lists.pop()
        level, items = store.tree(list_id)
        require(wanted_level in (level, None), "a list below a node is of a wrong level")
        if first is not None:
            require(items and items[0].name == first, "a list begins with another name than its node says")
        if level:
            lists += [(level - 1, child.name, child.id) for child in reversed(items)]
            continue
        require(not items or last < items[0].name, "the lists of a split folder are out of order")
        last = items[-1].name if items else last
        yield from items


def walk(store, root):
    """All paths of a snapshot, each folder before what is in it, up to a bound (T4)."""
    count, left = 0, [(b"", entries_of(store, root))]
    while left:
        folder, entries = left[-1]
        entry = next(entries, None)
        if entry is None:
            left.pop()
            continue
        path, count = folder + entry.name, count + 1
        require(count <= WALK_MAX and len(path) <= PATH_MAX and len(left) <= DEPTH_MAX + 1, "a tree is over the bound")
        yield path, entry
        if entry.kind == FOLDER:
            left.append((path + b"/", entries_of(store, entry.id)))


# ---- 5. Snapshots ----------------------------------------------------------------------------------------------------

CAUSES = ["step", "before-restore", "import", "after-restore"]
REASONS = ["unreadable", "special", "too-large", "torn", "vanished", "too-long", "read-error", "attributes"]


def decode_snapshot(data):
    """The fields of a snapshot by name. An attachment is its bytes, or a tuple with the id of its blob."""
    reader = Reader(data)
    id_, u32 = (lambda: reader.take(32)), (lambda: reader.uint(U32_MAX))

    def attachment():
        kind = reader.uint(2)
        data = [lambda: b"", lambda: reader.bytes(2_048), id_][kind]()
        require(data or kind == 0, "an attachment is kept inside though it is empty")
        return data if kind < 2 else (data,)

    if reader.fixed(1) != 1:
        raise SystemExit("a snapshot is of a version that this reader does not know")  # V1
    fields = [
        ("root", id_),
        ("root_mode", lambda: reader.uint(0o7777)),
        ("root_owner", lambda: reader.optional(lambda: (u32(), u32()))),
        ("parents", lambda: reader.list(id_, 16)),
        ("history", id_),
        ("workspace", lambda: reader.take(16)),
        ("run", lambda: reader.optional(lambda: reader.text(1, 255))),
        ("step", reader.uint),
        ("time", reader.signed),
        ("cause", lambda: CAUSES[reader.uint(len(CAUSES) - 1)]),
        ("message", lambda: reader.text(0, 65_536)),
        ("changes", lambda: [reader.uint(), reader.uint(), reader.uint()]),
        ("event", attachment),
        ("times", attachment),
        ("omitted", attachment),
        ("attributes", attachment),
        ("excluded", attachment),
        ("rules", id_),
        ("dropped", lambda: reader.optional(lambda: (id_(), reader.uint(), reader.flag()))),
        ("git", lambda: reader.optional(lambda: (reader.optional(reader.text), reader.optional(reader.text)))),
    ]
    snapshot = {name: read() for name, read in fields}
    reader.finish()
    require(snapshot["step"] > 0, "a snapshot has step 0")
    require(snapshot["dropped"] is None or snapshot["dropped"][1] > 0, "it says that no paths were dropped")  # S7
    return snapshot


def names_of(path):
    return path.split(b"/") if path else []


def read_paths(reader, read_item=lambda: None):
    """Paths up to the end of the bytes, each with what is listed of it (S2, S3)."""
    require(reader.rest() <= PATH_LIST_MAX, "a list of paths is over its limit")
    budget, before, found = reader.rest() * PATHS_FACTOR + PATHS_MIN, b"", {}
    while reader.rest():
        shared, rest = reader.uint(len(before)), reader.bytes(PATH_MAX)
        require(not rest or before[shared:shared + 1] != rest[:1], "a path shares less than it could")
        path = before[:shared] + rest
        budget -= len(path)
        require(budget >= 0 and len(path) <= PATH_MAX, "a list of paths expands beyond its bound")
        require(path == b"" or all(map(is_name, path.split(b"/"))), "it is no path")
        require(not found or names_of(before) < names_of(path), "paths are out of order")
        found[path] = read_item()
        before = path
    return found


def check_acl(acl):
    """Known entries, one each for owner, owning group and others, and at most one mask (S8)."""
    reader, tags = Reader(acl), []
    require(reader.fixed(4) == 2, "an ACL is of an unknown version")
    while reader.rest():
        tag, permissions, _id = reader.fixed(2), reader.fixed(2), reader.fixed(4)
        require(tag in (1, 2, 4, 8, 16, 32) and permissions <= 7, "an ACL has an unknown entry")
        tags.append(tag)
    require([tags.count(tag) for tag in (1, 4, 32)] == [1, 1, 1] and tags.count(16) <= 1, "an ACL has wrong entries")


def read_attributes(reader):
    """Paths with owners, ACLs or extended attributes, each with the number of its set (S8)."""

    def attribute():
        kind = reader.fixed(1)
        require(1 <= kind <= 4, "an attribute is of an unknown kind")
        name = reader.bytes(USER_NAME_MAX) if kind == 4 else b""
        require(b"\0" not in name and (name or kind < 4), "an attribute has a wrong name")
        value = reader.bytes(VALUE_MAX)
        if kind in (1, 2):
            check_acl(value)
        return kind, name

    def one_set():
        start = reader.at
        owner = reader.optional(lambda: (reader.uint(U32_MAX), reader.uint(U32_MAX)))
        attributes = reader.list(attribute)
        require(owner or attributes, "a set of attributes is empty")
        require(ascend(attributes) and reader.at - start <= SET_MAX, "a set is out of order or over its limit")
        return reader.data[start:reader.at]

    if not reader.rest():
        return {}
    sets = reader.list(one_set)
    require(ascend(sets), "sets of attributes are out of order or repeated")
    paths = read_paths(reader, lambda: reader.uint(len(sets) - 1))
    require(set(paths.values()) == set(range(len(sets))), "a set of attributes belongs to no path")
    return paths


def lists_of(store, snapshot):
    """The lists of paths of a snapshot: times, omitted paths, excluded paths, and paths with attributes."""
    times, omitted, excluded, attributes = (
        Reader(store.attachment(snapshot[name])) for name in ("times", "omitted", "excluded", "attributes"))

    def reason():
        number = omitted.fixed(1)
        require(1 <= number <= len(REASONS), "a path is omitted for an unknown reason")
        return REASONS[number - 1]

    return {
        "times": read_paths(times, lambda: times.fixed(8, signed=True)),
        "omitted": read_paths(omitted, reason),
        "excluded": read_paths(excluded),
        "attributes": read_attributes(attributes),
    }


# ---- 7. Facts --------------------------------------------------------------------------------------------------------


def read_fact(reader):
    """One fact: the number of its variant, and its fields in order."""
    half_id, id_, time, root = (lambda: reader.take(16)), (lambda: reader.take(32)), reader.signed, reader.bytes
    run, maybe_id = (lambda: reader.text(1, 255)), (lambda: reader.optional(id_))

    def restore_cause():
        number = reader.uint(3)
        return (number, reader.uint()) if number in (1, 2) else (number,)

    fields = [
        [half_id, root, time],  # 0 workspace added
        [half_id, root, time],  # 1 workspace moved
        [half_id, time],  # 2 workspace forgotten
        [half_id, id_, reader.uint, lambda: reader.optional(run), lambda: reader.uint(3)],  # 3 snapshot taken
        [half_id, maybe_id, id_, lambda: reader.list(reader.bytes), restore_cause, time],  # 4 restore begun
        [half_id, maybe_id, time],  # 5 restore ended
        [half_id, run, maybe_id, time],  # 6 tagged
        [id_, reader.flag, time],  # 7 pinned
        [id_, time],  # 8 snapshot forgotten
        [id_, reader.flag, time],  # 9 snapshot incomplete
        [half_id, reader.flag, time],  # 10 snapshot lost
        [half_id, id_, id_, run, time],  # 11 event noted
        [half_id, time],  # 12 workspace recalled
        # 13 folder seen
        [half_id, reader.uint, reader.uint, lambda: reader.optional(time), lambda: reader.optional(half_id), time],
        [reader.uint, lambda: reader.list(half_id), time],  # 14 generation begun
    ]
    variant = reader.uint(len(fields) - 1)
    fact = [read() for read in fields[variant]]
    check_fact(variant, fact)
    return variant, fact


def decode_facts(data):
    reader = Reader(data)
    facts = reader.list(lambda: read_fact(reader))
    reader.finish()
    return facts


def check_fact(variant, fields):
    """Checks the limits that the encoding leaves open (7.1)."""
    if variant in (0, 1):
        root = fields[1]
        require(root[:1] == b"/" and b"\0" not in root and len(root) <= PATH_MAX, "a root is no absolute path")
    require(variant != 3 or fields[2] > 0, "a step is 0")
    paths = fields[3] if variant == 4 else []
    require(all(map(is_name, (name for path in paths for name in names_of(path)))), "a restore has a wrong path")


class Workspace:
    """One recorded folder: where it is, its snapshots by step, its tags, and the states that undo and redo lead to."""

    def __init__(self, root):
        self.root, self.steps, self.tags, self.head = root, {}, {}, None
        self.restore = None  # The unfinished one: its "before", paths and cause.
        self.states, self.position, self.undos = [], 0, []  # An undo is what it left, its position, and if that holds.

    def current(self):
        return self.states[self.position] if self.states else None

    def add(self, state):
        if not self.states or self.current() != state:
            self.states[self.position + 1:] = [state]
            self.position = len(self.states) - 1
            self.undos = [(left, position, False) for left, position, _ in self.undos]

    def put(self, state):
        if state and not self.states:
            self.add(state)
        elif state:
            self.states[self.position] = state

    def take(self, step, snapshot, cause):
        before, self.head, self.steps[step] = self.head, snapshot, snapshot
        if self.restore or CAUSES[cause] == "import":
            return
        if CAUSES[cause] == "step":
            self.undos = []
        if self.current() is None and before:
            self.add(before)
        self.add(snapshot)

    def end_restore(self, state):
        if not self.restore:
            return
        (before, paths, (cause, *count)), self.restore, self.head = self.restore, None, state or self.head
        if cause == 0:
            self.undos = []
        if cause == 0 and state:
            self.add(before)
            self.add(state)
        elif cause == 1:
            self.undos += [(before, self.position, True)] if before else []
            self.position = max(0, self.position - count[0])
            self.put(state)
        elif cause == 2 and self.undos:
            first = max(0, len(self.undos) - count[0])
            taken, self.undos = self.undos[first:], self.undos[:first]
            _left, position, holds = taken[0] if taken else (None, 0, False)
            if holds and position < len(self.states):
                self.position = position
                self.put(state)
            elif taken and state:
                self.add(before)
                self.add(state)
        elif cause == 3:
            self.add(state or self.current()) if paths else self.put(state)


class State:
    """The state after all facts: the recorded workspaces, and those that were put aside."""

    def __init__(self, store):
        self.live, self.aside = {}, {}
        for sequence in sorted(store.facts):
            facts = attempt(decode_facts, store.facts[sequence])
            if facts is None:
                store.problems.append(f"transaction {sequence}: its facts cannot be read")
            for variant, fields in facts or []:
                self.apply(variant, *fields)

    def apply(self, variant, first, *rest):
        live, aside = self.live, self.aside
        if variant == 0:
            live.setdefault(first, Workspace(rest[0]))
        elif variant == 2 and first in live:
            aside[first] = live.pop(first)
        elif variant == 12 and first in aside:
            recalled = aside.pop(first)
            live.setdefault(first, recalled)
        elif variant == 6 and (first in live or first in aside):  # J9: also of a workspace that was put aside
            tags, (name, snapshot, _) = (live.get(first) or aside[first]).tags, rest
            tags.pop(name, None)
            tags.update({name: snapshot} if snapshot else {})
        elif variant == 8:
            for workspace in [*live.values(), *aside.values()]:
                workspace.steps = {step: snapshot for step, snapshot in workspace.steps.items() if snapshot != first}
                workspace.tags = {name: snapshot for name, snapshot in workspace.tags.items() if snapshot != first}
        elif first in live:  # J1
            workspace = live[first]
            if variant == 1:
                workspace.root = rest[0]
            elif variant == 3:
                snapshot, step, _run, cause = rest
                workspace.take(step, snapshot, cause)
            elif variant == 4:
                before, _target, paths, cause, _time = rest
                workspace.restore = before, paths, cause
            elif variant == 5:
                workspace.end_restore(rest[0])

    def workspaces(self):
        for is_aside, workspaces in ((False, self.live), (True, self.aside)):
            for workspace_id, workspace in sorted(workspaces.items()):
                yield workspace_id, is_aside, workspace

    def snapshots(self):
        for workspace_id, _, workspace in self.workspaces():
            for step, snapshot_id in sorted(workspace.steps.items()):
                yield workspace_id, step, snapshot_id


# ---- Commands --------------------------------------------------------------------------------------------------------


def shown(path):
    """A path as text: all but printable ASCII, and the backslash, is written \\xHH."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in path)


def list_store(store):
    """One line for each workspace, and then one for each snapshot, also for one that cannot be read."""
    state, as_hex = State(store), lambda object_id: object_id and object_id.hex()
    for workspace_id, is_aside, workspace in state.workspaces():
        print(json.dumps({
            "workspace": workspace_id.hex(),
            "root": shown(workspace.root),
            "is_forgotten": is_aside,
            "head": as_hex(workspace.head),
            "tags": {name: snapshot.hex() for name, snapshot in workspace.tags.items()},
            "states": [as_hex(snapshot) for snapshot in workspace.states[:workspace.position + 1]],
            "undos": [snapshot.hex() for snapshot, _, _ in workspace.undos],
        }))
    for workspace_id, step, snapshot_id in state.snapshots():
        line = {"snapshot": snapshot_id.hex(), "workspace": workspace_id.hex(), "step": step}
        try:
            snapshot = decode_snapshot(store.object(SNAPSHOT, snapshot_id))
            lists = lists_of(store, snapshot)
            line.update({name: snapshot[name] for name in ("run", "cause", "message", "time", "changes")})
            line["parents"] = [parent.hex() for parent in snapshot["parents"]]
            line["omitted"] = {shown(path): reason for path, reason in lists["omitted"].items()}
            line["excluded"] = [shown(path) for path in lists["excluded"]]
            line["attributes"] = len(lists["attributes"])
        except Corrupt as problem:
            line["problem"] = str(problem)
        print(json.dumps(line))


def extract(store, digits, folder):
    """Writes a snapshot into a new folder, after all of its tree was read (T4). Owners and attributes are ignored."""
    matching = {snapshot_id for _, _, snapshot_id in State(store).snapshots() if snapshot_id.hex().startswith(digits)}
    require(len(matching) == 1, f"{len(matching)} snapshots have an id that begins with {digits}")
    snapshot = decode_snapshot(store.object(SNAPSHOT, matching.pop()))
    paths = list(walk(store, snapshot["root"]))
    inside = [Entry(os.fsencode(os.path.abspath(folder)), FOLDER, snapshot["root_mode"], 0, None)]

    def enter(entry):
        os.mkdir(entry.name, 0o700)
        os.chdir(entry.name)  # A path may be longer than a system call takes: names are not.

    def leave():
        entry = inside.pop()
        os.chdir(b".." if inside else b"/")
        os.chmod(entry.name, entry.mode)

    enter(inside[0])
    for path, entry in paths:
        while len(inside) > path.count(b"/") + 1:
            leave()
        if entry.kind == FOLDER:
            enter(entry)
            inside.append(entry)
        elif entry.kind == SYMLINK:
            os.symlink(b"".join(store.blob(entry.id)), entry.name)
        else:
            with open(entry.name, "xb") as file:
                file.writelines(store.blob(entry.id))
            os.chmod(entry.name, entry.mode)
    while inside:
        leave()


def check(store):
    """Reads every record and every object, and all that each snapshot needs; prints what is wrong and what there is."""
    state, counts, read = State(store), Counter(packs=len(store.packs)), set()

    def note(what, look, *arguments):
        try:
            look(*arguments)
        except Corrupt as problem:
            store.problems.append(f"{what}: {problem}")

    def check_object(place):
        kind, _, prefix = place.record.members[place.position]
        data, depth, record = store.checked(place), 0, place.record
        while record.base:
            depth, record = depth + 1, store.places[kind, record.base][0].record
        counts["deepest delta"] = max(counts["deepest delta"], depth)
        counts["nodes of split folders"] += kind == TREE and decode_tree(data)[0] > 0
        counts[f"{KIND_WORDS[kind]}s"] += 1

    def check_blob(blob):
        if blob not in read:
            for _ in store.blob(blob):
                pass
            read.add(blob)

    def check_snapshot(workspace_id, step, snapshot_id):
        snapshot = decode_snapshot(store.object(SNAPSHOT, snapshot_id))
        require((snapshot["workspace"], snapshot["step"]) == (workspace_id, step), "its fact and it disagree")
        lists = lists_of(store, snapshot)
        store.attachment(snapshot["event"])
        check_blob(snapshot["rules"])
        parents = [attempt(store.object, SNAPSHOT, parent) for parent in snapshot["parents"][:1]]
        if None not in parents:  # The history of a snapshot whose parent is lost cannot be checked (I3).
            before = decode_snapshot(parents[0])["history"] if parents else NO_PARENT
            history = blake3.blake3(before + snapshot["root"]).digest()
            require(history == snapshot["history"], "its history digest does not follow from its parent's")
        for _, entry in walk(store, snapshot["root"]):
            counts[{FILE: "files", FOLDER: "folders", SYMLINK: "symlinks"}[entry.kind]] += 1
            if entry.kind != FOLDER:
                check_blob(entry.id)
        counts["omitted paths"] += len(lists["omitted"])
        counts["excluded paths"] += len(lists["excluded"])
        counts["paths with attributes"] += len(lists["attributes"])

    for pack in store.packs:
        for record in pack.records:
            counts[f"{ENCODING_WORDS[record.encoding]} records"] += 1
            counts["records of several members"] += len(record.members) > 1
            if not record_is_intact(pack.data, record):
                store.problems.append(f"{pack.name}: the record at {record.start} does not match its checksum")
    for (kind, prefix), places in store.places.items():
        for place in places:
            note(f"{KIND_WORDS[kind]} {prefix.hex()} at {place.record.start}", check_object, place)
    for workspace_id, step, snapshot_id in state.snapshots():
        note(f"s{step} {snapshot_id.hex()}", check_snapshot, workspace_id, step, snapshot_id)
    missing = set(range(1, max(store.facts, default=0) + 1)) - set(store.facts)
    store.problems += [f"transaction {sequence} is missing" for sequence in sorted(missing)]
    print(json.dumps({"problems": store.problems, "counts": counts}))
    return 1 if store.problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, arguments in (("list", ["store"]), ("extract", ["store", "snapshot", "dir"]), ("check", ["store"])):
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument)
    given = parser.parse_args()
    try:
        store = Store(given.store)
        if given.command == "check":
            return check(store)
        list_store(store) if given.command == "list" else extract(store, given.snapshot, given.dir)
        return 0
    except (Corrupt, OSError) as problem:
        print(f"format_reader.py: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
