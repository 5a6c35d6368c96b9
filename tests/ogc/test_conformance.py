"""The conformance declaration is computed (S1.1, S2.1)."""

import pytest
from fastprocesses_host.ogc.conformance import common, conformance_classes, part1_v10, part1_v20

from tests.ogc.official import faults

CORE = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core"


def test_equal_classes_of_several_resources_count_once():
    told = conformance_classes([part1_v10("core", "json"), part1_v10("core", "job-list"), ()])

    assert told.conforms_to == [CORE, CORE.replace("core", "json"), CORE.replace("core", "job-list")]


def test_classes_of_2_0_are_written_with_http_and_https():
    assert part1_v20("oas31") == (
        "http://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/oas31",
        "https://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/oas31",
    )


@pytest.mark.parametrize("version", ["v1.0", "v2.0"])
def test_the_declaration_is_valid_by_both_versions(shared, version):
    assert (
        faults(shared, version, "confClasses", conformance_classes([part1_v10("core"), common("json")])) == []
    )
