"""Supply chain: the bill of materials, the audit, and builds that give the same bytes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from asset_scripts import script

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def test_the_bill_of_materials_names_every_locked_package() -> None:
    make_sbom = script("make_sbom")
    found = make_sbom.sbom(LOCK, "voicechat", "1.0")
    names = {component["name"] for component in found["components"]}
    assert names == set(re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE))
    textual = next(each for each in found["components"] if each["name"] == "textual")
    assert textual["purl"] == f"pkg:pypi/textual@{textual['version']}"
    assert textual["licenses"] == [{"license": {"name": "MIT"}}]
    # A package may have two versions, each for some systems.
    purls = [component["purl"] for component in found["components"]]
    assert found["dependencies"][0]["dependsOn"] == list(dict.fromkeys(purls))
    assert json.dumps(make_sbom.sbom(LOCK, "voicechat", "1.0")) == json.dumps(found)


def test_the_digests_of_a_locked_package_are_listed() -> None:
    first, second = "a" * 64, "b" * 64
    lock = (
        f"One_Two==1.0 ; x \\\n    --hash=sha256:{first} \\\n    --hash=sha256:{second}\nthree==2\n"
    )
    one, three = script("make_sbom").sbom(lock, "voicechat", "1.0")["components"]
    assert one["purl"] == "pkg:pypi/one-two@1.0"
    assert [each["hashes"][0]["content"] for each in one["externalReferences"]] == [first, second]
    assert "externalReferences" not in three


UNKNOWN = {"dependencies": [{"name": "b", "skip_reason": "not found"}]}
CLEAN = {"dependencies": [{"name": "a", "version": "1", "vulns": []}, *UNKNOWN["dependencies"]]}
FOUND = {
    "dependencies": [
        {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2", "3"]}]}
    ]
}


@pytest.mark.skipif(sys.platform == "win32", reason="the program of the test is a shell script")
@pytest.mark.parametrize(
    ("body", "code", "out", "err"),
    [
        (f"echo '{json.dumps(CLEAN)}'", 0, "1 packages audited, 1 unknown to the database.\n", ""),
        (f"echo '{json.dumps(FOUND)}'; exit 1", 1, "a 1: CVE-1, fixed in 2, 3\n", ""),
        (f"echo '{json.dumps(UNKNOWN)}'", 2, "", "not audited: the database knows none of them."),
        ("echo no route >&2; exit 1", 2, "", "not audited: no route."),
        ("exit 7", 2, "", "not audited: no reason given."),
    ],
)
def test_the_audit_says_what_happened(
    body: str, code: int, out: str, err: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "uvx"
    program.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
    program.chmod(0o700)
    assert script("audit_packages").main(program) == code
    shown = capsys.readouterr()
    assert shown.out.startswith(out)
    assert err in shown.err
    assert ("Run it again online." in shown.err) is (code == 2)


def test_the_same_source_gives_the_same_package(tmp_path: Path) -> None:
    built = []
    for name in ("one", "other"):
        source = tmp_path / name / "source"
        (source / "voicechat").mkdir(parents=True)
        for each in ("pyproject.toml", "README.md", "LICENSE", "voicechat/__init__.py"):
            shutil.copyfile(ROOT / each, source / each)
        (source / "LICENSE").touch() if name == "one" else (source / "LICENSE").chmod(0o600)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "--directory", str(tmp_path / name)],
            cwd=source, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        built.append({path.name: path.read_bytes() for path in (tmp_path / name).glob("*.*")})
    assert len(built[0]) == 2
    assert built[0] == built[1]


def test_every_locked_package_has_a_digest() -> None:
    """pip then refuses a file that was replaced, also for the build tools."""
    found = list(script("make_sbom").packages(LOCK))
    assert len(found) > 100
    assert [name for name, _, digests in found if not digests] == []
    setup = (ROOT / ".setup.sh").read_text("utf-8")
    assert 'locked="$pip install --constraint requirements.lock"' in setup
