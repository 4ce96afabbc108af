"""Makes a repository with python-tuf, in the folders `metadata` and `targets` of FOLDER.

make.py FOLDER

It has Ed25519 keys, consistent snapshots, a root that was rotated once with another timestamp key, and a delegation with
a threshold of two.
"""

import copy
import datetime
import pathlib
import sys

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    MetaFile,
    Metadata,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

folder = pathlib.Path(sys.argv[1])
expires = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=30)
for name in ("metadata", "targets"):
    (folder / name).mkdir(parents=True)


def write(name, metadata, signers):
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    data = metadata.to_bytes()
    (folder / "metadata" / name).write_bytes(data)
    return data


def target(path, content):
    made = TargetFile.from_data(path, content, ["sha256"])
    parent, _, name = path.rpartition("/")
    file = folder / "targets" / parent / f"{made.hashes['sha256']}.{name}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return {path: made}


keys = {role: CryptoSigner.generate_ed25519() for role in ("root", "timestamp", "snapshot", "targets")}
root = Root(version=1, expires=expires, consistent_snapshot=True)
for role, signer in keys.items():
    root.add_key(signer.public_key, role)
write("1.root.json", Metadata(root), [keys["root"]])

rotated, newer = copy.deepcopy(root), CryptoSigner.generate_ed25519()
rotated.version = 2
rotated.revoke_key(keys["timestamp"].public_key.keyid, "timestamp")
rotated.add_key(newer.public_key, "timestamp")
keys["timestamp"] = newer
write("2.root.json", Metadata(rotated), [keys["root"]])

publishers = [CryptoSigner.generate_ed25519() for _ in range(2)]
role = DelegatedRole(
    "plugins", [signer.public_key.keyid for signer in publishers], 2, terminating=True, paths=["plugins/*/*"]
)
delegated = Targets(version=4, expires=expires, targets=target("plugins/dpkg/1.0.0", b"a plugin"))
top = Targets(
    version=3,
    expires=expires,
    targets=target("notes", b"made by python-tuf"),
    delegations=Delegations({signer.public_key.keyid: signer.public_key for signer in publishers}, {"plugins": role}),
)
files = {
    "plugins.json": (4, write("4.plugins.json", Metadata(delegated), publishers)),
    "targets.json": (3, write("3.targets.json", Metadata(top), [keys["targets"]])),
}
meta = {name: MetaFile.from_data(version, data, ["sha256"]) for name, (version, data) in files.items()}
snapshot = write("5.snapshot.json", Metadata(Snapshot(version=5, expires=expires, meta=meta)), [keys["snapshot"]])
current = Timestamp(version=6, expires=expires, snapshot_meta=MetaFile.from_data(5, snapshot, ["sha256"]))
write("timestamp.json", Metadata(current), [keys["timestamp"]])
