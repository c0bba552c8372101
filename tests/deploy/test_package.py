"""deploy.zip: what a board gets; unpacked or installed by pip it runs by itself."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy import find_package
from deploy.platforms import ENVIRONMENT
from flow import library
from flow.emit.package import write_zip
from tests.deploy.packages import BUILD_ID, emit_small, make_package

TOP = "popbin-small-qat-pynq-z2"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rtl(tmp_path_factory):
    return emit_small(tmp_path_factory.mktemp("rtl") / "small")


@pytest.fixture(scope="module")
def package(rtl, tmp_path_factory):
    return make_package(rtl, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def archive(package, tmp_path_factory):
    return write_zip(package, tmp_path_factory.mktemp("zip") / "deploy.zip")


def python(*words, cwd, **environment):
    """The last lines of a Python that finds none of this repository; its JSON, if that is what it prints."""
    path = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), **environment}
    run = subprocess.run([sys.executable, *map(str, words)], cwd=cwd, env=path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_what_is_inside(archive):
    names = set(zipfile.ZipFile(archive).namelist())
    wanted = (
        "README.md",
        "pyproject.toml",
        "deploy/accelerator.py",
        "deploy/platforms/board.py",
        "deploy/build/ddr_weights.bin",
    )
    assert {f"{TOP}/{name}" for name in wanted} <= names
    assert not [name for name in names if "sim/" in name or "__pycache__" in name or name.endswith(".so")]


def test_the_readme_says_how_to_come_to_pynq(archive):
    text = zipfile.ZipFile(archive).read(f"{TOP}/README.md").decode()
    lines = [line.strip() for line in text.splitlines()]
    commands = [line for line in lines if line.startswith(("sudo -i", "source ", "python3 -m deploy"))]
    assert commands[:2] == ["sudo -i", ENVIRONMENT] and len(commands) == 6
    assert "`kill -9` cannot" in text and "\n\n\n" not in text


def test_the_licence_goes_along(archive):
    content = zipfile.ZipFile(archive)
    for name in ("LICENSE", "NOTICE"):
        assert content.read(f"{TOP}/{name}") == (REPOSITORY / name).read_bytes()


def test_an_installed_package_has_the_licence_in_its_metadata(tmp_path, monkeypatch):
    """In the layout of a wheel: rtl/ inside flow/, LICENSE and NOTICE in the dist-info, a stranger's beside flow/."""
    licences = {"LICENSE": b"as installed", "NOTICE": b"made by"}
    info = f"{library.DISTRIBUTION.replace('-', '_')}-0.1.0.dist-info"
    files = {"flow/rtl/fifo.sv": b"", "LICENSE": b"of another package", f"{info}/METADATA": b"Name: popbin-flow\n"}
    files |= {f"{info}/licenses/{name}": content for name, content in licences.items()}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / info / "RECORD").write_text("".join(f"{name},,\n" for name in files if name != "LICENSE"))
    monkeypatch.setattr(library, "PACKAGE", tmp_path / "flow")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert library.licences() == licences
    (tmp_path / info / "licenses" / "NOTICE").unlink()
    with pytest.raises(library.FlowError, match="no NOTICE .* in the metadata of popbin-flow: reinstall the package"):
        library.licences()


def test_equal_packages_are_equal_files(package, archive, tmp_path):
    assert write_zip(package, tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_unpacked_it_runs(archive, tmp_path):
    zipfile.ZipFile(archive).extractall(tmp_path)
    result = json.loads(python("-m", "deploy", "cpu", "--images", 8, cwd=tmp_path / TOP))
    assert (result["images"], result["mismatches"], result["build_id"]) == (8, 0, BUILD_ID)
    assert result["package"] == str(tmp_path / TOP / "deploy" / "build")


def test_it_needs_numpy_only(archive, tmp_path):
    zipfile.ZipFile(archive).extractall(tmp_path)
    script = (
        "import sys, deploy; print({'torch', 'onnx', 'qonnx', 'flow', 'brevitas'} & set(sys.modules), deploy.__file__)"
    )
    assert python("-c", script, cwd=tmp_path / TOP).split() == ["set()", str(tmp_path / TOP / "deploy" / "__init__.py")]


def test_pip_installs_it(archive, tmp_path):
    target = tmp_path / "site"
    pip = (
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        target,
        archive,
    )
    python(*pip, cwd=tmp_path)
    assert {path.name for path in target.glob("popbin_deploy-*.dist-info/**/[LN]*") if path.is_file()} == {
        "LICENSE",
        "NOTICE",
    }
    result = json.loads(python("-m", "deploy", "cpu", "--images", 8, cwd=tmp_path, PYTHONPATH=str(target)))
    assert (result["mismatches"], result["package"]) == (0, str(target / "deploy" / "build"))
    script = """
from importlib.metadata import distribution
(entry,) = distribution("popbin-deploy").entry_points
print(entry.group, entry.name, entry.load().__file__)
"""
    found = python("-c", script, cwd=tmp_path, PYTHONPATH=str(target)).split()
    assert found == ["pynq.notebooks", "popbin", str(target / "deploy" / "notebooks" / "__init__.py")]


def test_the_environment_names_one_first(package, archive, tmp_path, monkeypatch):
    zipfile.ZipFile(archive).extractall(tmp_path)
    named = {"POPBIN_PACKAGE": str(package)}
    result = json.loads(python("-m", "deploy", "cpu", "--images", 1, cwd=tmp_path / TOP, **named))
    assert result["package"] == str(package)
    monkeypatch.setenv("POPBIN_PACKAGE", "elsewhere")
    assert str(find_package()) == "elsewhere"  # what is wrong with it is told when it is loaded


def test_without_a_simulator_the_message_says_so(archive, tmp_path):
    zipfile.ZipFile(archive).extractall(tmp_path)
    words = [sys.executable, "-m", "deploy", "validate", "--platform", "sim"]
    run = subprocess.run(words, cwd=tmp_path / TOP, capture_output=True, text=True)
    assert run.returncode == 1 and "has no simulator" in run.stderr and "Traceback" not in run.stderr


def test_a_bitfile_goes_along(rtl, tmp_path):
    made = [tmp_path / "accelerator.bit", tmp_path / "accelerator.hwh"]
    for path in made:
        path.write_bytes(path.name.encode())
    package = make_package(rtl, tmp_path / "package", bitfile=made)
    content = zipfile.ZipFile(write_zip(package, tmp_path / "deploy.zip"))
    for path in made:
        assert content.read(f"{TOP}/deploy/build/{path.name}") == path.read_bytes()
        assert path.name in json.loads((package / "settings.json").read_text())["files"]
    assert "no Vivado" not in content.read(f"{TOP}/README.md").decode()


def test_a_damaged_network_is_named(package, tmp_path):
    copy = shutil.copytree(package, tmp_path / "copy")
    data = bytearray((copy / "network.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "network.npz").write_bytes(data)
    run = subprocess.run([sys.executable, "-m", "deploy", "cpu", "--package", copy], capture_output=True, text=True)
    assert run.returncode == 1 and "network.npz is damaged" in run.stderr
