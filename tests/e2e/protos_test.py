"""The trimmed .proto files say on the wire what Envoy's own, of the package xds-protos, say."""

import importlib
import pathlib
import random
import subprocess
import tempfile
import unittest

import ext_proc  # first: it goes on where the packages are
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, unknown_fields

import harness

PROTO = harness.SOURCE / "host/proto"
ROUNDS = 30  # random messages of each kind and direction
DEPTH = 4  # of messages in messages
Type = descriptor_pb2.FieldDescriptorProto


def compile_protos():
    """The descriptors of host/proto and all that it imports."""
    files = sorted(str(file.relative_to(PROTO)) for file in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory(prefix="sluice-protos-") as directory:
        out = pathlib.Path(directory, "set")
        subprocess.run(
            ["protoc", f"-I{PROTO}", "--include_imports", f"--descriptor_set_out={out}", *files],
            check=True,
            timeout=60,
        )
        return files, descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


def their_module(file):
    """The Python module of the same .proto file in the packages of others."""
    name = file.removesuffix(".proto").replace("/", ".") + "_pb2"
    return importlib.import_module(name.replace("grpc.health.", "grpc_health."))


def pool_of(files):
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


def all_messages(descriptors):
    """Every message type, nested ones too, without those that stand for maps."""
    for one in descriptors:
        if not one.GetOptions().map_entry:
            yield one
            yield from all_messages(one.nested_types)


def all_enums(file):
    yield from file.enum_types_by_name.values()
    for message in all_messages(file.message_types_by_name.values()):
        yield from message.enum_types


def field_facts(message):
    """What of each field matters on the wire and to readers of it, by name."""
    proto = descriptor_pb2.DescriptorProto()
    message.CopyToProto(proto)
    maps = {
        f".{message.full_name}.{nested.name}": [
            (f.number, f.type, f.type_name) for f in nested.field
        ]
        for nested in proto.nested_type
        if nested.options.map_entry
    }
    return {
        field.name: {
            "number": field.number,
            "type": Type.Type.Name(field.type),
            "label": Type.Label.Name(field.label),
            "of": maps.get(field.type_name, field.type_name),
            "oneof": (
                proto.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
            ),
            "optional": field.proto3_optional,
        }
        for field in proto.field
    }


def differences(ours, theirs):
    """Where the fields of OURS are not what they are in THEIRS; what OURS leaves out is none."""
    their_facts = field_facts(theirs)
    return [
        f"{ours.full_name}.{name}: {facts}, theirs: {their_facts.get(name)}"
        for name, facts in field_facts(ours).items()
        if facts != their_facts.get(name)
    ]


class Filler:
    """Fills messages with random values."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def fill(self, message, depth=DEPTH):
        for field in message.DESCRIPTOR.fields:
            if self.rng.random() < 0.2 or (field.message_type is not None and depth == 0):
                continue
            self.fill_field(message, field, depth)
        return message

    def fill_field(self, message, field, depth):
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[n] for n in ("key", "value"))
            entries = getattr(message, field.name)
            for _ in range(self.rng.randrange(3)):
                if value.message_type is not None:
                    self.fill(entries[self.scalar(key)], depth - 1)
                else:
                    entries[self.scalar(key)] = self.scalar(value)
        elif field.is_repeated:
            for _ in range(self.rng.randrange(3)):
                if field.message_type is not None:
                    self.fill(getattr(message, field.name).add(), depth - 1)
                else:
                    getattr(message, field.name).append(self.scalar(field))
        elif field.message_type is not None:
            part = getattr(message, field.name)
            part.SetInParent()
            self.fill(part, depth - 1)
        else:
            setattr(message, field.name, self.scalar(field))

    def scalar(self, field):
        rng = self.rng
        if field.type == Type.TYPE_STRING:
            return "".join(rng.choice("aZ:-é中 ") for _ in range(rng.randrange(12)))
        if field.type == Type.TYPE_BYTES:
            return rng.randbytes(rng.randrange(12))
        if field.type == Type.TYPE_BOOL:
            return rng.random() < 0.5
        if field.type == Type.TYPE_ENUM:
            known = [value.number for value in field.enum_type.values]
            return rng.choice([*known, 599])  # enums are open: a number that nobody named passes
        if field.type in (Type.TYPE_DOUBLE, Type.TYPE_FLOAT):
            return rng.choice([0.0, -1.5, 1e30, float(rng.randrange(1 << 20))])
        signed = field.type in (Type.TYPE_INT32, Type.TYPE_INT64)
        bits = 31 if field.type in (Type.TYPE_INT32, Type.TYPE_UINT32) else 63
        return rng.choice([0, 1, 127, 128, (1 << bits) - 1] + [-1] * signed)


def unequal(ours, theirs, path):
    """The first place where two messages differ in the fields of OURS; else None."""
    for field in ours.DESCRIPTOR.fields:
        place = f"{path}.{field.name}"
        mine, other = getattr(ours, field.name), getattr(theirs, field.name)
        if field.has_presence and ours.HasField(field.name) != theirs.HasField(field.name):
            return f"{place} is there on one side only"
        if field.message_type is None:
            found = (
                place
                if (list(mine) != list(other) if field.is_repeated else mine != other)
                else None
            )
        elif field.message_type.GetOptions().map_entry:
            found = unequal_maps(field, mine, other, place)
        elif field.is_repeated:
            pairs = zip(mine, other)
            found = place if len(mine) != len(other) else first(unequal(*p, place) for p in pairs)
        else:
            found = unequal(mine, other, place) if ours.HasField(field.name) else None
        if found:
            return found
    return None


def unequal_maps(field, mine, other, place):
    if set(mine) != set(other):
        return place
    if field.message_type.fields_by_name["value"].message_type is None:
        return None if dict(mine) == dict(other) else place
    return first(unequal(mine[key], other[key], place) for key in mine)


def first(found):
    return next((one for one in found if one), None)


class Protos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files, cls.set = compile_protos()
        cls.ours = pool_of(cls.set)
        for file in cls.files:
            their_module(file)
        cls.theirs = descriptor_pool.Default()
        cls.messages = [
            message
            for file in cls.files
            for message in all_messages(
                cls.ours.FindFileByName(file).message_types_by_name.values()
            )
        ]

    def pair(self, name):
        """The classes of a message: ours and theirs."""
        return (
            message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
            for pool in (self.ours, self.theirs)
        )

    def test_the_files_hold_what_this_test_is_about(self):
        names = {message.full_name for message in self.messages}
        self.assertLessEqual(
            {
                "envoy.service.ext_proc.v3.ProcessingRequest",
                "envoy.service.ext_proc.v3.ProcessingResponse",
                "envoy.config.core.v3.HeaderValueOption",
                "envoy.type.v3.HttpStatus",
                "grpc.health.v1.HealthCheckResponse",
            },
            names,
        )

    def test_every_field_has_the_number_type_label_and_oneof_of_theirs(self):
        for message in self.messages:
            theirs = self.theirs.FindMessageTypeByName(message.full_name)
            self.assertEqual(differences(message, theirs), [])
            self.assertEqual(message.file.package, theirs.file.package)

    def test_every_value_of_an_enum_has_its_number(self):
        for file in self.files:
            for enum in all_enums(self.ours.FindFileByName(file)):
                theirs = self.theirs.FindEnumTypeByName(enum.full_name)
                numbers = {value.name: value.number for value in theirs.values}
                for value in enum.values:
                    self.assertEqual(value.number, numbers.get(value.name), value.name)

    def test_every_method_has_their_path_and_types(self):
        seen = set()
        for file in self.files:
            for service in self.ours.FindFileByName(file).services_by_name.values():
                theirs = self.theirs.FindServiceByName(service.full_name)
                for method in service.methods:
                    other = theirs.methods_by_name[method.name]
                    for side in ("input_type", "output_type"):
                        self.assertEqual(
                            getattr(method, side).full_name, getattr(other, side).full_name
                        )
                    self.assertEqual(
                        (method.client_streaming, method.server_streaming),
                        (other.client_streaming, other.server_streaming),
                        method.full_name,
                    )
                    seen.add(f"/{service.full_name}/{method.name}")
                self.assertEqual(len(service.methods), len(theirs.methods), service.full_name)
        self.assertIn(ext_proc.PROCESS, seen)

    def test_what_ours_writes_theirs_reads(self):
        for message in self.messages:
            ours, theirs = self.pair(message.full_name)
            for number in range(ROUNDS):
                said = Filler(f"{message.full_name} {number}").fill(ours())
                heard = theirs.FromString(said.SerializeToString())
                self.assertIsNone(unequal(said, heard, message.full_name))
                self.assertEqual(len(unknown_fields.UnknownFieldSet(heard)), 0)
                self.assertEqual(ours.FromString(heard.SerializeToString()), said)

    def test_what_theirs_writes_ours_reads_and_what_it_does_not_know_it_skips_and_keeps(self):
        skipped = 0
        for message in self.messages:
            ours, theirs = self.pair(message.full_name)
            for number in range(ROUNDS):
                said = Filler(f"their {message.full_name} {number}").fill(theirs())
                heard = ours.FromString(said.SerializeToString())
                self.assertIsNone(unequal(heard, said, message.full_name))
                skipped += len(unknown_fields.UnknownFieldSet(heard))
                self.assertEqual(theirs.FromString(heard.SerializeToString()), said)
        self.assertGreater(skipped, 0, "no message held a field that ours leave out")

    def test_a_field_that_nobody_knows_is_skipped_wherever_it_stands(self):
        request, _ = self.pair("envoy.service.ext_proc.v3.ProcessingRequest")
        known = ext_proc.request_body(b"body").SerializeToString()
        for unknown in (b"\xf8\x7f\x01", b"\xfa\x7f\x03abc", b"\xfd\x7fabcd", b"\xf9\x7fabcdefgh"):
            for data in (unknown + known, known + unknown):
                heard = request.FromString(data)
                self.assertEqual(heard.WhichOneof("request"), "request_body")
                self.assertEqual(heard.request_body.body, b"body")

    def test_a_wrong_number_type_or_oneof_in_any_field_would_be_seen(self):
        """Spoils each field in turn; differences() must tell, or it proves nothing above."""
        spoilt = 0
        for message in self.messages:
            theirs = self.theirs.FindMessageTypeByName(message.full_name)
            self.assertEqual(differences(message, theirs), [])
            for field in message.fields:
                for spoil in (_other_number, _other_type):
                    files = descriptor_pb2.FileDescriptorSet.FromString(
                        self.set.SerializeToString()
                    )
                    spoil(_find(files, message, field.name))
                    found = pool_of(files).FindMessageTypeByName(message.full_name)
                    self.assertEqual(len(differences(found, theirs)), 1, field.full_name)
                    spoilt += 1
        self.assertGreater(spoilt, 100)


def _find(files, message, field_name):
    """The FieldDescriptorProto of a field, to be changed."""
    file = next(file for file in files.file if file.name == message.file.name)
    scope = file.message_type
    for name in message.full_name.removeprefix(file.package + ".").split("."):
        found = next(one for one in scope if one.name == name)
        scope = found.nested_type
    return next(field for field in found.field if field.name == field_name)


def _other_number(field):
    field.number += 1000


def _other_type(field):
    field.type = Type.TYPE_BYTES if field.type != Type.TYPE_BYTES else Type.TYPE_STRING
    field.ClearField("type_name")


if __name__ == "__main__":
    harness.main()
