"""A plugin of pytest: a line per case for tests/clients/run, in columns: client, case, result, reason."""

import os

client = os.environ["LOWRANK_CLIENT"]


def pytest_runtest_logreport(report):
    if report.when != "call" and not (report.when == "setup" and report.outcome != "passed"):
        return
    expected = getattr(report, "wasxfail", "").removeprefix("reason: ")
    if expected:
        result, reason = ("known", expected) if report.skipped else ("FAILED", "it passes, but should not: " + expected)
    elif report.skipped:
        result, reason = "skipped", report.longrepr[2].removeprefix("Skipped: ")
    elif report.passed:
        result, reason = "passed", ""
    else:
        crash = getattr(report.longrepr, "reprcrash", None)
        result, reason = "FAILED", crash.message if crash else str(report.longrepr)
    name = report.nodeid.split("::", 1)[1].removeprefix("test_")
    with open(os.environ["LOWRANK_REPORT"], "a") as lines:
        print(client, name, result, " ".join(reason.split())[:300], sep="\t", file=lines)
