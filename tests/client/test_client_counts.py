"""What clients count about their requests."""

from __future__ import annotations

from timonier.client.counts import NO_ANSWER, Requests, render


def test_requests_are_counted_by_what_came_of_them() -> None:
    one, other = Requests("10.0.0.1:6443"), Requests("10.0.0.1:6443")
    one.add("GET", "200", 0.5)
    one.add("POST", NO_ANSWER)
    other.add("GET", "200", 0.25)
    lines = list(render([one, other]))
    assert 'rest_client_requests_total{code="200",method="GET",host="10.0.0.1:6443"} 2' in lines
    assert 'rest_client_requests_total{code="<error>",method="POST",host="10.0.0.1:6443"} 1' in lines
    assert 'rest_client_request_duration_seconds_sum{verb="GET",host="10.0.0.1:6443"} 0.75' in lines
    assert 'rest_client_request_duration_seconds_count{verb="GET",host="10.0.0.1:6443"} 2' in lines
    assert sum(line.startswith("# TYPE") for line in lines) == 2
