from rpnb.session.pulse import ASK, CALM, TICK, Pulse


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


def heard_for(pulse, seconds, each):
    """Let so many seconds go by with a sign of life after each so many."""
    for _ in range(int(seconds / each)):
        for _ in range(int(each / TICK)):
            pulse.tick(TICK)
        pulse.hear()


def test_link_that_was_lively_for_a_while_after_a_false_alarm_is_suspect_as_soon_as_at_first():
    pulse = Pulse()
    first = suspect_after(pulse)
    pulse.hear()
    pulse.forgive()
    heard_for(pulse, CALM, each=1.0)
    assert suspect_after(pulse) == first


def test_link_that_stays_slow_after_a_false_alarm_keeps_its_time():
    pulse = Pulse()
    first = suspect_after(pulse)
    pulse.hear()
    pulse.forgive()
    heard_for(pulse, 3 * CALM, each=first + TICK)
    assert suspect_after(pulse) == 2 * first


def test_link_that_stalls_every_half_minute_is_suspected_twice_and_then_has_its_time():
    pulse, alarms = Pulse(), 0
    for _ in range(20):
        heard_for(pulse, 22.5, each=1.0)
        for _ in range(int(2.5 / TICK)):
            pulse.tick(TICK)
        if pulse.is_suspect:
            alarms += 1
            pulse.forgive()
        pulse.hear()
    assert alarms == 2
    pulse.renew()
    assert suspect_after(pulse) + TICK <= 2.0
