from emulator import report
from emulator.attributes import RecordedAttributes
from emulator.ledger import LEGEND, Entry, Row, document, entries_of_stack, rows


def entry(resource_type: str, *, recorded: bool = False) -> Entry:
    return Entry(stack="s", logical_id="x", type=resource_type, recorded=recorded)


def test_a_database_runs_a_subnet_is_described_and_a_gateway_is_recorded() -> None:
    assert entry("AWS::RDS::DBInstance").outcome == "running"
    assert entry("AWS::EC2::Subnet").outcome == "described"
    assert entry("AWS::EC2::NatGateway", recorded=True).outcome == "recorded"


def test_a_custom_resource_counts_as_running_only_if_its_handler_ran() -> None:
    assert entry("Custom::OneOffTask").outcome == "running"
    assert entry("AWS::CloudFormation::CustomResource").outcome == "running"
    assert entry("Custom::VpcRestrictDefaultSG", recorded=True).outcome == "recorded"


def test_a_type_that_runs_counts_as_recorded_where_one_of_it_was_only_recorded() -> None:
    assert rows([entry("AWS::CloudWatch::Alarm"), entry("AWS::CloudWatch::Alarm", recorded=True)]) == [
        Row("AWS::CloudWatch::Alarm", described=1, recorded=1)
    ]


def test_what_is_no_resource_on_aws_either_is_left_out() -> None:
    assert rows([entry("AWS::CDK::Metadata")]) == []


def test_totals_add_up_and_every_word_is_explained() -> None:
    found = document(
        [entry("AWS::S3::Bucket"), entry("AWS::EC2::VPC"), entry("AWS::EC2::EIP", recorded=True)]
    )
    assert found["totals"] == {"running": 1, "described": 1, "recorded": 1, "created": 2}
    assert found["legend"] == LEGEND
    assert {row["type"]: row["created"] for row in found["types"]} == {
        "AWS::EC2::EIP": 0,
        "AWS::EC2::VPC": 1,
        "AWS::S3::Bucket": 1,
    }


def test_cloudformations_records_tell_what_was_recorded() -> None:
    attributes = RecordedAttributes("AWS::EC2::EIP", "Ip", "eipalloc-1")
    found = entries_of_stack(
        "net",
        {
            "Ip": {"ResourceType": "AWS::EC2::EIP", "Attributes": attributes},
            "Vpc": {"ResourceType": "AWS::EC2::VPC", "Attributes": {"VpcId": "vpc-1"}},
        },
        RecordedAttributes,
    )
    assert {item.logical_id: item.outcome for item in found} == {"Ip": "recorded", "Vpc": "described"}


def test_the_counts_are_told_in_a_line_with_where_to_see_more() -> None:
    found = document([entry("AWS::RDS::DBInstance"), entry("AWS::EC2::NatGateway", recorded=True)])
    assert report.summary(found, 4600) == (
        "Resources       1 running, 0 described, 1 recorded: `python -m emulator report --port 4600` tells which and "
        "what that means"
    )
