"""Results as Markdown."""

import os
import statistics

from tools import Cost


def median(costs: list[Cost], what: str) -> float:
    return statistics.median(getattr(c, what) for c in costs)


def seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def load() -> str:
    """How busy the machine is: other work makes ratios of a few hundredths of a second unsteady."""
    model = "?"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} × {model}; load average {os.getloadavg()[0]:.1f}"


def verdict(value: float, limit: float, at_least: bool = False) -> str:
    met = value >= limit if at_least else value <= limit
    sign = "≥" if at_least else "≤"
    return f"{value:.2f} ({sign} {limit:g}{'' if met else ', **missed**'})"
