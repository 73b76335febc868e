"""The root of an image with Debian's Python and Amazon's SDK, as a tar file: no registry is asked.

The arguments are a folder of packages, the script that the image runs as `/pipe.py`, and the tar file.
"""

import io
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

PACKAGES = ["boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3"]
SERVICES = {"s3", "sts"}
LEFT_OUT = {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter"}


def kept(entry: tarfile.TarInfo):
    """Leaves out what is large and not asked for."""
    parts = Path(entry.name).parts
    name = parts[-1]
    folder_of_service = len(parts) > 3 and parts[-3:-1] == ("botocore", "data") and entry.isdir()
    if name in LEFT_OUT or name.startswith("config-") or (folder_of_service and name not in SERVICES):
        return None
    entry.uid = entry.gid = 0
    return entry


def libraries(programs: list) -> set:
    """The libraries of programs, where the loader finds them."""
    told = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    found = set()
    for line in told.splitlines():
        words = line.split()
        paths = [word for word in words if word.startswith("/") and not word.endswith(":")]
        found.update(paths[:1])
    return found


def main() -> None:
    packages, script, target = sys.argv[1:4]
    standard = Path(sysconfig.get_path("stdlib"))
    python = Path("/usr/bin/python3").resolve()
    modules = sorted((standard / "lib-dynload").glob("*.so"))
    with tarfile.open(target, "w", dereference=True) as tar:
        for path in sorted(libraries([str(path) for path in [python, *modules]])):
            tar.add(path, path.lstrip("/"), filter=kept)
        tar.add(python, "usr/bin/python3", filter=kept)
        tar.add(standard, str(standard).lstrip("/"), filter=kept)
        for package in PACKAGES:
            tar.add(Path(packages) / package, f"usr/lib/python3/dist-packages/{package}", filter=kept)
        tar.add("/usr/bin/busybox", "bin/busybox", filter=kept)
        tar.add(script, "pipe.py", filter=kept)
        for name in ("sh", "mkdir", "cat"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, text in (("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name in ("tmp", "root"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(entry)


main()
