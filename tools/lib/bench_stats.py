"""Numbers of the benchmarks: spread, percentiles, one repetition's figures.
SPDX-License-Identifier: Apache-2.0

A sample is what one repetition gave: a dictionary of numbers, None where a figure does not apply.
A summary holds each key's median over the samples, and its least and most as KEY_min and KEY_max.
"""
import collections.abc
import dataclasses
import statistics

Sample = dict[str, float | None]

# Every summary has these; None where a benchmark has no such figure.
SUMMARY_KEYS = ("packets_per_second", "cores", "cpu_ns_per_packet", "packets_per_core_second",
                "loss", "added_delay_p99_us", "ratio_to_limit")
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


@dataclasses.dataclass(frozen=True)
class Usage:
    """CPU time of a process or of threads, in ns, over a stretch of wall-clock time."""
    user_ns: float
    system_ns: float
    wall_ns: float

    @property
    def cpu_ns(self) -> float:
        """User and system together."""
        return self.user_ns + self.system_ns

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(self.user_ns - other.user_ns, self.system_ns - other.system_ns,
                     self.wall_ns - other.wall_ns)


def rounded(value: float) -> float:
    """Six significant digits: more would be noise."""
    return float(f"{value:.6g}")


def summarise(samples: collections.abc.Sequence[Sample]) -> Sample:
    """Median, least and most of every key of the samples."""
    keys = list(SUMMARY_KEYS) + [k for s in samples for k in s if k not in SUMMARY_KEYS]
    summary: Sample = {}
    for key in dict.fromkeys(keys):
        values = [s[key] for s in samples if s.get(key) is not None]
        for name, of in ((key, statistics.median), (f"{key}_min", min), (f"{key}_max", max)):
            summary[name] = rounded(of(values)) if values else None
    return summary


def figures(packets: float, usage: Usage) -> Sample:
    """What any run that sends packets has."""
    if packets <= 0 or usage.wall_ns <= 0:
        raise ValueError(f"nothing was sent: {packets} packets in {usage.wall_ns} ns")
    each = usage.cpu_ns / packets
    return {"packets_per_second": packets * 1e9 / usage.wall_ns,
            "cores": usage.cpu_ns / usage.wall_ns,
            "cpu_ns_per_packet": each,
            "packets_per_core_second": 1e9 / each if each > 0 else None,
            "cpu_user_ns_per_packet": usage.user_ns / packets,
            "cpu_system_ns_per_packet": usage.system_ns / packets}


def sending(counters: collections.abc.Mapping[str, float]) -> Sample:
    """How packets were put into kernel messages, from a worker's counters."""
    sent, messages = counters.get("sent_packets", 0), counters.get("sent_messages", 0)
    if not sent or not messages:
        return {}
    size = counters.get("sent_bytes", 0)
    return {"packets_per_message": sent / messages,
            "segmented_share": counters.get("segmented_packets", 0) / sent,
            "padding_share": counters.get("padding_bytes", 0) / size if size else None}


def bucket_percentile(buckets: collections.abc.Sequence[float], share: float) -> float | None:
    """A percentile of a histogram whose bucket i counts values from 2^i to 2^(i+1).

    Inside a bucket values are taken as spread evenly, so the result is exact to the bucket: the
    last one, which also holds what is longer, gives its lower edge. None for an empty histogram."""
    total = sum(buckets)
    if total <= 0:
        return None
    wanted, seen = share * total, 0.0
    for i, count in enumerate(buckets):
        if count > 0 and seen + count >= wanted:
            if i == len(buckets) - 1:
                return float(2 ** i)
            low = 0.0 if i == 0 else float(2 ** i)
            return low + (2.0 ** (i + 1) - low) * (wanted - seen) / count
        seen += count
    return None


def bucket_delays(buckets: collections.abc.Sequence[float], prefix: str) -> Sample:
    """The usual percentiles of such a histogram as PREFIX_p50_us and so on."""
    return {f"{prefix}_{name}_us": bucket_percentile(buckets, share)
            for name, share in PERCENTILES.items()}


def difference(after: collections.abc.Mapping, before: collections.abc.Mapping) -> dict:
    """Counters of a stretch of time from two readings; lists are subtracted place by place."""
    result = {}
    for key, value in after.items():
        if isinstance(value, list):
            old = before.get(key, [0] * len(value))
            result[key] = [a - b for a, b in zip(value, old, strict=True)]
        else:
            result[key] = value - before.get(key, 0)
    return result
