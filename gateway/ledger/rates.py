"""GCRA: an even pace for requests, as pure arithmetic over one number of state.

Source: ITU-T I.371, Generic Cell Rate Algorithm (virtual scheduling form).
"""

MINUTE_NS = 60 * 10**9


def admit(due_ns: int, now_ns: int, per_minute: int, burst: int) -> tuple[bool, int]:
    """Whether one more request conforms to the rate.

    Args:
        due_ns: the state: when the next request is due; 0 at first. Monotonic nanoseconds.
        now_ns: the same clock, now.
        per_minute: requests a minute, at least 1.
        burst: how many may come at once, at least 1.

    Returns:
        (True, the new state), or (False, nanoseconds to wait) with the state to be kept as it was.
    """
    step = MINUTE_NS // per_minute
    due = max(due_ns, now_ns)
    early = due - now_ns - step * (burst - 1)
    if early > 0:
        return False, early
    return True, due + step
