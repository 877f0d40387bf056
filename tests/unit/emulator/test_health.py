from emulator.health import Health


def test_one_success_makes_a_new_target_healthy() -> None:
    health = Health()
    health.succeeded(healthy_threshold=5)
    assert health.state == "healthy"


def test_a_target_that_starts_slowly_stays_initial_for_as_long_as_aws_would_wait() -> None:
    health = Health()
    for _ in range(100):
        assert not health.failed(2, 10.0, "Target.FailedHealthChecks", "")
    assert health.state == "initial"
    health.since -= 21.0
    assert health.failed(2, 10.0, "Target.FailedHealthChecks", "")
    assert health.state == "unhealthy"


def test_a_healthy_target_becomes_unhealthy_after_the_threshold_and_says_so_once() -> None:
    health = Health()
    health.succeeded(5)
    answers = [health.failed(3, 10.0, "Target.Timeout", "Request timed out") for _ in range(5)]
    assert answers == [False, False, True, False, False]
    assert (health.state, health.reason) == ("unhealthy", "Target.Timeout")


def test_a_success_in_between_starts_the_count_again() -> None:
    health = Health()
    health.succeeded(5)
    health.failed(2, 10.0, "r", "")
    health.succeeded(5)
    health.failed(2, 10.0, "r", "")
    assert health.state == "healthy"


def test_an_unhealthy_target_has_to_prove_itself() -> None:
    health = Health(state="unhealthy")
    health.succeeded(2)
    assert health.state == "unhealthy"
    health.succeeded(2)
    assert health.state == "healthy"
