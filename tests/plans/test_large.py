"""Plans of ten thousand resources, judged in seconds. A walk that compares each with each takes minutes."""

from __future__ import annotations

import ipaddress
import time

from tests.plans.written import CREATE, DELETE, REPLACE, change, judged, plan


def test_ten_thousand_resources() -> None:
    ranges = ipaddress.ip_network("10.0.0.0/8").subnets(new_prefix=22)
    subnets = [
        change(f"aws_subnet.s[{at}]", CREATE, None, {"vpc_id": "vpc-1", "cidr_block": str(network)})
        for at, network in zip(range(4_000), ranges, strict=False)
    ]
    same = [
        change(f"aws_subnet.t[{at}]", CREATE, None, {"vpc_id": "vpc-2", "cidr_block": "10.0.0.0/24"})
        for at in range(2_000)
    ]
    routes = [
        change(f"aws_route.r[{at}]", REPLACE, {"route_table_id": "rtb-1", "destination_cidr_block": str(at)})
        for at in range(2_000)
    ]
    stores = [change(f"aws_ebs_volume.v[{at}]", DELETE, {"id": str(at)}) for at in range(2_000)]
    started = time.process_time()
    found = judged(plan(*subnets, *same, *routes, *stores))
    assert time.process_time() - started < 30
    assert sum(one.rule == "subnet-overlap" for one in found) == 1_999
    assert sum(one.rule == "remove-before-replace" for one in found) == 2_000
    assert sum(one.rule == "stateful" for one in found) == 2_000
