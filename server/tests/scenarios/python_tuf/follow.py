"""Follows a repository with python-tuf's client, and says what it downloaded.

follow.py URL ROOT FOLDER TARGET...

ROOT is a file with the root that is trusted already, or `-` for the one that is known from before. Prints the version of
the root that it ended with, and the SHA-256 of each target.
"""

import hashlib
import json
import pathlib
import sys

from tuf.ngclient import Updater

url, root, folder, *paths = sys.argv[1:]
metadata, targets = pathlib.Path(folder, "metadata"), pathlib.Path(folder, "targets")
for made in (metadata, targets):
    made.mkdir(parents=True, exist_ok=True)
updater = Updater(
    metadata_dir=str(metadata),
    metadata_base_url=f"{url}/repository/metadata/",
    target_dir=str(targets),
    target_base_url=f"{url}/repository/targets/",
    bootstrap=None if root == "-" else pathlib.Path(root).read_bytes(),
)
updater.refresh()
downloaded = {}
for path in paths:
    target = updater.get_targetinfo(path)
    if target is None:
        sys.exit(f"python-tuf does not find {path}")
    file = updater.download_target(target)
    downloaded[path] = hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()
newest = json.loads(pathlib.Path(metadata, "root.json").read_bytes())["signed"]["version"]
print(json.dumps({"root": newest, "targets": downloaded}))
