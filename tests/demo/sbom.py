"""Prints a CycloneDX 1.5 bill of materials of a program: the Debian packages of the shared libraries
that it loads, from the package database."""
import hashlib
import json
import os
import subprocess
import sys


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, check=False).stdout


def libraries(program):
    for line in run("ldd", program).splitlines():
        parts = line.split()
        if len(parts) > 2 and parts[1] == "=>" and os.path.exists(parts[2]):
            yield os.path.realpath(parts[2])


def owner(path):
    """With /usr merged, the database knows some files by their older path: libc6 ships /lib/..."""
    for name in (path, path.removeprefix("/usr")):
        package = run("dpkg-query", "-S", name).split(":")[0]
        if package:
            return package
    return "unknown"


def component(path):
    package = owner(path)
    version = run("dpkg-query", "-W", "-f", "${Version}\n", package).split("\n")[0] or "unknown"
    with open(path, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    return {
        "type": "library",
        "name": package,
        "version": version,
        "purl": f"pkg:deb/debian/{package}@{version}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def main():
    program = sys.argv[1]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": os.path.basename(program)}},
        "components": [component(p) for p in sorted(set(libraries(program)))],
    }
    json.dump(bom, sys.stdout, indent=1)


main()
