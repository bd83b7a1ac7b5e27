"""The development cluster removes its own iptables chains and rules, and nobody else's."""

from __future__ import annotations

from tests.cluster import network

SAVED = """\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-ABC - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 10.244.0.0/22 ! -d 10.244.0.0/22 -m comment --comment fairway-cluster -j MASQUERADE
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-ABC
COMMIT
"""


def test_only_own_chains_and_rules_go() -> None:
    assert network.removal_script("nat", SAVED).splitlines() == [
        "*nat",
        ":KUBE-SERVICES - [0:0]",
        ":KUBE-SVC-ABC - [0:0]",
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-D POSTROUTING -s 10.244.0.0/22 ! -d 10.244.0.0/22 -m comment --comment fairway-cluster -j MASQUERADE",
        "-X KUBE-SERVICES",
        "-X KUBE-SVC-ABC",
        "COMMIT",
    ]


def test_a_machine_without_the_cluster_is_left_alone() -> None:
    foreign = "\n".join(line for line in SAVED.splitlines() if "KUBE" not in line and "fairway" not in line)
    assert network.removal_script("nat", foreign) == ""
