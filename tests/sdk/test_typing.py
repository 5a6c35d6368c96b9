"""What authors write type checks strictly, and means what it says."""

from pathlib import Path

import pytest
from mypy import api

SAMPLE = Path(__file__).with_name("typed_sample.py")
MISTAKES = {
    "report([1])": "list-item",
    "bad: int = extent(fp.BBox([1]), fp.Link(href='x'))": "assignment",
    "Report(pictures=[])": "call-arg",
    "Report(table=1, pictures=[])": "arg-type",
    "Tiles(url='u')": "call-arg",
    "Tiles(url=1, token=fp.Secret('s'))": "arg-type",
    "locate(settings=None)": "call-arg",
    "fp.process(time_out=5)": "call-overload",
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("mypy")
    (folder / "mistaken.py").write_text(SAMPLE.read_text() + "\n" + "\n".join(MISTAKES) + "\n")
    config = folder / "mypy.ini"
    config.write_text("[mypy]\nstrict = true\n")
    options = [f"--config-file={config}", f"--cache-dir={folder / 'cache'}", "--no-error-summary"]
    return api.run([*options, str(SAMPLE), str(folder / "mistaken.py")])


@pytest.mark.timeout(240)
def test_a_sample_of_everything_passes_strictly(checked):
    out, problems, _ = checked

    assert problems == ""
    assert [line for line in out.splitlines() if "typed_sample" in line] == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_use_is_found(checked, mistake):
    number = len(SAMPLE.read_text().splitlines()) + 2 + list(MISTAKES).index(mistake)
    found = [line for line in checked[0].splitlines() if f"mistaken.py:{number}: error" in line]

    assert any(f"[{MISTAKES[mistake]}]" in line for line in found)
