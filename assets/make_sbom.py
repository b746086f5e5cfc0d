"""Write a software bill of materials, as CycloneDX JSON, from requirements.lock: `make sbom`.

Equal lock files give equal bytes. Licenses are those of the packages that are installed.
Source of the format: CycloneDX 1.6, JSON reference.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
TARGET = ROOT / "dist" / "voicechat.cdx.json"

_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def packages(lock: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the name, the version and the SHA-256 digests of each package in a lock file."""
    for entry in lock.replace("\\\n", " ").splitlines():
        if found := _PACKAGE.match(entry):
            yield found[1], found[2], _HASH.findall(entry)


def sbom(lock: str, name: str, version: str) -> dict[str, Any]:
    """Return the bill of materials of a program with these packages."""
    components = [_component(*package) for package in packages(lock)]
    own = f"pkg:pypi/{name}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, own + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": own, "name": name, "version": version,
                "purl": own, "licenses": [{"license": {"id": "MIT"}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [each["bom-ref"] for each in components]}],
    }  # fmt: skip


def _component(name: str, version: str, digests: list[str]) -> dict[str, Any]:
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    found: dict[str, Any] = {
        "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
    }  # fmt: skip
    if license_name := _license(name):
        found["licenses"] = [{"license": {"name": license_name}}]
    if digests:
        # One digest for each file of the package; only one of them is installed.
        files = [
            {"type": "distribution", "url": purl, "hashes": [_digest(each)]} for each in digests
        ]
        found["externalReferences"] = files
    return found


def _digest(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _license(name: str) -> str:
    path = Path(__file__).with_name("make_licenses.py")
    spec = util.spec_from_file_location("make_licenses", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        found: str = module.license_of(name)
    except metadata.PackageNotFoundError:
        return ""
    return found


def main() -> None:
    """Write the file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = sbom(LOCK.read_text(encoding="utf-8"), project["name"], project["version"])
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}: {len(found['components'])} packages\n")


if __name__ == "__main__":
    main()
