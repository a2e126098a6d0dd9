"""The contract only grows: `buf breaking` against the released image finds whatever a caller's stubs would trip over
(DESIGN 3). Each change here is made to a copy of proto/."""

import os
import pathlib
import shutil
import subprocess

import pytest

from harness import ROOT

BUF = pathlib.Path(os.environ["CLINICAVOICE_PYTHON"]) / "buf"
BLOCKS = "clinicavoice/appointment/v1/time_block.proto"
BLOCK_SERVICE = "clinicavoice/appointment/v1/time_block_service.proto"


def breaking(proto: pathlib.Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [BUF, "breaking", "--against", ROOT / "proto/released.binpb"], cwd=proto, capture_output=True, text=True)


@pytest.fixture
def edited(tmp_path):
    """Makes a copy of proto/ in which one file reads differently."""
    def edit(file, old, new):
        copy = shutil.copytree(ROOT / "proto", tmp_path / "proto")
        text = (copy / file).read_text()
        assert text.count(old) == 1, f"{old!r} is no longer a line of {file}"
        (copy / file).write_text(text.replace(old, new))
        return copy
    return edit


def test_the_contract_breaks_nothing_that_was_released():
    done = breaking(ROOT / "proto")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "old", "new", "complaint"), [
    (BLOCKS, "  string start_time = 4;\n", "", 'field "4" with name "start_time" on message "TimeBlock" was deleted'),
    (BLOCKS, "  string start_time = 4;\n", "  string start_time = 40;\n", 'field "4" with name "start_time"'),
    (BLOCKS, "  string start_time = 4;\n", "  string starts_at = 4;\n", 'changed name from "start_time" to "starts_at"'),
    (BLOCKS, "  string start_time = 4;\n", "  int32 start_time = 4;\n", 'changed type from "string" to "int32"'),
    (BLOCKS, "  TIME_BLOCK_TYPE_MEETING = 3;\n", "", 'enum value "3" on enum "TimeBlockType" was deleted'),
    (BLOCK_SERVICE, "  rpc DeleteTimeBlock(DeleteTimeBlockRequest) returns (DeleteTimeBlockResponse);\n", "",
     'RPC "DeleteTimeBlock" on service "TimeBlockService" was deleted'),
], ids=["field removed", "field renumbered", "field renamed", "type changed", "enum value removed", "RPC removed"])
def test_a_breaking_change_is_found(edited, file, old, new, complaint):
    done = breaking(edited(file, old, new))
    assert done.returncode != 0
    assert complaint in " ".join(done.stdout.split()), done.stdout


def test_a_new_field_breaks_nothing(edited):
    done = breaking(edited(BLOCKS, "  string start_time = 4;\n", "  string start_time = 4;\n  string colour = 99;\n"))
    assert done.returncode == 0, done.stdout
