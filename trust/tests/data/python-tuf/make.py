"""Makes this folder's repository with python-tuf 7.0.1 and securesystemslib 1.6.0, one kind of key for each role."""

import datetime

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp,
)

EXPIRES = datetime.datetime(2040, 1, 1, tzinfo=datetime.timezone.utc)


def write(name, signed, *signers):
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    content = metadata.to_bytes()
    with open(name, "wb") as file:
        file.write(content)
    return content


ecdsa, ed25519, rsa_pss = CryptoSigner.generate_ecdsa(), CryptoSigner.generate_ed25519(), CryptoSigner.generate_rsa()
rsa_pkcs1 = CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256")
old_type = CryptoSigner.generate_ecdsa()
key = old_type.public_key
old_type = CryptoSigner(
    old_type._private_key, SSlibKey("an-id-of-its-own", "ecdsa-sha2-nistp256", key.scheme, key.keyval, {"x-owner": "é\n\"\\"})
)

delegations = Delegations({}, {
    "bücher/?": DelegatedRole("bücher/?", [], 1, False, ["books/*/*"], unrecognized_fields={"x-note": [None, True, -1]}),
    "bins": DelegatedRole("bins", [], 1, True, None, list("0123456789abcdef")),
})
targets = Targets(expires=EXPIRES, delegations=delegations)
targets.add_key(old_type.public_key, "bücher/?")
targets.add_key(ed25519.public_key, "bins")
targets.targets["text.txt"] = TargetFile.from_data("text.txt", b"text", ["sha256", "sha512"])
books = Targets(expires=EXPIRES)
books.targets["books/a/b"] = TargetFile.from_data("books/a/b", b"book", ["sha512"])
bins = Targets(expires=EXPIRES)
bins.targets["deep/in/a/bin"] = TargetFile.from_data("deep/in/a/bin", b"bin")

root = Root(expires=EXPIRES, unrecognized_fields={"x-more": {"ü": "\u0001\t/\u2028", "A": [], "a": {}}})
for role, signer in [("root", ecdsa), ("root", rsa_pss), ("timestamp", rsa_pss), ("snapshot", rsa_pkcs1), ("targets", ed25519)]:
    root.add_key(signer.public_key, role)
root.roles["root"].threshold = 2
write("1.root.json", root, ecdsa, rsa_pss)

meta = {
    "targets.json": MetaFile.from_data(1, write("1.targets.json", targets, ed25519), ["sha256", "sha512"]),
    "bücher/?.json": MetaFile.from_data(1, write("1.b%C3%BCcher%2F%3F.json", books, old_type), ["sha512"]),
    "bins.json": MetaFile(1),
}
write("1.bins.json", bins, ed25519)
snapshot = write("1.snapshot.json", Snapshot(expires=EXPIRES, meta=meta), rsa_pkcs1)
write("timestamp.json", Timestamp(expires=EXPIRES, snapshot_meta=MetaFile.from_data(1, snapshot, ["sha256"])), rsa_pss)
