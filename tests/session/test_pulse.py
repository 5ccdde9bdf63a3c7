from rpnb.session.pulse import ASK, TICK, Pulse


def suspect_after(pulse):
    """Return the seconds of ticks after which the link is suspect."""
    seconds = 0.0
    while not pulse.is_suspect:
        pulse.tick(TICK)
        seconds += TICK
    return seconds


def test_silent_link_is_suspect_within_two_seconds():
    assert suspect_after(Pulse()) + TICK <= 2.0


def test_link_that_is_heard_is_not_suspect():
    pulse = Pulse()
    for _ in range(100):
        pulse.tick(TICK)
        pulse.hear()
    assert not pulse.is_suspect


def test_agent_is_asked_each_half_second_of_silence():
    pulse = Pulse()
    asked = [n * TICK for n in range(1, 9) if pulse.tick(TICK)]
    assert asked == [ASK, 2 * ASK, 3 * ASK, 4 * ASK]


def test_late_tick_is_no_silence():
    """Another thread held the interpreter for a minute, or the laptop slept for hours."""
    pulse = Pulse()
    pulse.tick(60)
    pulse.tick(7 * 3600)
    assert not pulse.is_suspect


def test_false_alarm_makes_the_next_one_later_up_to_a_bound():
    pulse = Pulse()
    first, later = suspect_after(pulse), []
    for _ in range(5):
        pulse.hear()
        pulse.forgive()
        later.append(suspect_after(pulse))
    assert later[0] == 2 * first
    assert later[-1] == 8.0
    pulse.renew()
    assert suspect_after(pulse) == first
