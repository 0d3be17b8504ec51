"""Programs that a model wrote: what passes, and what the fence stops."""

from pathlib import Path

import pytest

from adg_pipeline.resources.evaluator.sandbox import CodeEval, Limits, fences, passes

SHORT = Limits(seconds=1, patience=4)


def test_a_program_passes_if_it_comes_to_its_end() -> None:
    assert passes("import math\nassert math.gcd(12, 18) == 6")
    assert not passes("assert 1 == 2")
    assert not passes("this is no program")


@pytest.mark.parametrize("leave", ["import sys; sys.exit(0)", "import os; os._exit(0)", "raise SystemExit"])
def test_leaving_early_is_no_pass(leave: str) -> None:
    assert not passes(f"{leave}\nassert False")


@pytest.mark.parametrize("endless", ["while True: pass", "import time; time.sleep(3600)"])
def test_what_does_not_end_is_ended(endless: str) -> None:
    assert not passes(endless, SHORT)


def test_memory_and_files_have_a_limit() -> None:
    assert not passes("x = bytearray(3 * 2**30)")
    assert not passes("open('large', 'wb').write(bytes(20 * 2**20))")
    assert passes("open('small', 'w').write('x')\nassert open('small').read() == 'x'")


def test_files_elsewhere_are_neither_read_nor_written(tmp_path: Path) -> None:
    if "files" not in fences():
        pytest.skip("this kernel has no Landlock: files are not fenced here, as a warning says")
    (tmp_path / "secret").write_text("x")
    assert not passes(f"open({str(tmp_path / 'secret')!r}).read()")
    assert not passes(f"open({str(tmp_path / 'new')!r}, 'w')")
    assert not passes("open('/proc/self/environ').read()")
    assert not passes("import os; os.listdir('/')")
    assert not (tmp_path / "new").exists()


def test_the_network_is_out_of_reach() -> None:
    if "network" not in fences():
        pytest.skip("this machine lets no user make a namespace: the network is not fenced here, as a warning says")
    asked = "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"
    assert not passes(asked)


def test_nothing_of_our_environment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADG_ENDPOINT_API_KEY", "secret")
    assert passes("import os\nassert 'ADG_ENDPOINT_API_KEY' not in os.environ")


def test_pass_at_k_is_the_unbiased_one() -> None:
    shares, told = CodeEval().compute(["assert x"], [["x = 1", "x = 0", "x = 0"]], k=[1, 2, 5])
    assert shares == {"pass@1": pytest.approx(1 / 3), "pass@2": pytest.approx(2 / 3)}
    assert [of["passed"] for _, of in told[0]] == [True, False, False]
