"""What the tools share. SPDX-License-Identifier: Apache-2.0"""
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def toolchain(name: str) -> str:
    """The program `name` of the Swift toolchain; its clang knows C23 and the sanitizers."""
    swift = shutil.which("swift")
    if swift:
        beside = pathlib.Path(swift).resolve().parent / name
        if beside.exists():
            return str(beside)
    found = shutil.which(name)
    if not found:
        raise SystemExit(f"{name}: not found beside swift nor in PATH")
    return found


def pkg_config(*packages: str) -> list[str]:
    """Compiler and linker flags of system libraries."""
    out = subprocess.run(
        ["pkg-config", "--cflags", "--libs", *packages],
        check=True, capture_output=True, text=True)
    return out.stdout.split()


def core_libraries(*packages: str) -> list[str]:
    """Flags of what CSources/CRouter links: OpenSSL and, where the build finds its header as the
    sources do, Intel's cipher library, which has no pkg-config data; and of further packages."""
    found = pathlib.Path("/usr/include/intel-ipsec-mb.h").exists()
    return pkg_config("libcrypto", *packages) + (["-lIPSec_MB"] if found else [])


def venv_python() -> str:
    """The interpreter that has the test peers."""
    path = subprocess.run(
        [str(ROOT / "tools/setup"), "--venv"], check=True, capture_output=True, text=True)
    return str(pathlib.Path(path.stdout.strip()) / "bin/python")


def sanitizer_environment() -> dict[str, str]:
    """The environment of a program built with sanitizers: every finding ends it."""
    env = dict(os.environ)
    env["ASAN_OPTIONS"] = "detect_leaks=1:detect_stack_use_after_return=1:abort_on_error=0"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
    env["TSAN_OPTIONS"] = "halt_on_error=1:second_deadlock_stack=1"
    env["SWIFT_BACKTRACE"] = "enable=no"
    env["ASAN_SYMBOLIZER_PATH"] = toolchain("llvm-symbolizer")
    return env
