import pytest

from rpnb.errors import ProtocolError
from rpnb.protocol import messages
from rpnb.protocol.connection import AGENT, CLIENT, Connection, State

WELCOME = messages.Welcome("w", 1, 0, 0, 0, True, None, [], {})


def test_client_is_attached_by_welcome():
    connection = Connection(CLIENT)
    list(connection.receive_data(messages.encode(WELCOME)))
    assert connection.state is State.ATTACHED


def test_client_is_closed_by_refusal():
    connection = Connection(CLIENT)
    list(connection.receive_data(messages.encode(messages.Refused("version", "too old"))))
    assert connection.state is State.CLOSED


@pytest.mark.parametrize(
    ("table", "message", "name"),
    [
        (CLIENT, messages.Pong(1, "idle"), "Pong while greeting"),
        (AGENT, messages.Ping(1), "Ping while greeting"),
        (AGENT, WELCOME, "Welcome while greeting"),
    ],
)
def test_message_out_of_turn_is_refused(table, message, name):
    with pytest.raises(ProtocolError, match=name):
        list(Connection(table).receive_data(messages.encode(message)))


def test_agent_accepts_every_request_after_hello():
    connection = Connection(AGENT)
    sent = [messages.Hello("me"), messages.Submit("r"), messages.Cancel("r"), messages.Stop("s")]
    stream = b"".join(map(messages.encode, sent))
    assert list(connection.receive_data(stream)) == sent


def test_nothing_is_accepted_twice_as_a_greeting():
    hello = messages.encode(messages.Hello("me"))
    with pytest.raises(ProtocolError, match="no Hello while attached"):
        list(Connection(AGENT).receive_data(hello + hello))
