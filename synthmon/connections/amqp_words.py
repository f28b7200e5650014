"""What an AMQP broker refuses, in words for a person; a right that our account lacks is ours to get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from synthmon.core.connections import ConnectionTrouble
from synthmon.core.outcomes import Reason


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """What fails inside is told as a failure of `what`. Raises `ConnectionTrouble`, or what the library raises."""
    from aiormq import exceptions as amqp

    try:
        yield
    except amqp.PublishError as error:
        said = "no queue is bound there that takes it, so the broker returned it"
        raise ConnectionTrouble(Reason.REFUSED, f"{what}: {said}") from error
    except amqp.DeliveryError as error:
        said = "the broker did not take it (nack): a queue there is full, or could not keep it"
        raise ConnectionTrouble(Reason.REFUSED, f"{what}: {said}") from error
    except amqp.ChannelNotFoundEntity as error:
        raise ConnectionTrouble(Reason.REFUSED, f"{what}: {error}") from error
    except (
        amqp.ProbableAuthenticationError,
        amqp.AuthenticationError,
        amqp.ChannelAccessRefused,
        amqp.ChannelLockedResource,
        amqp.ChannelPreconditionFailed,
    ) as error:
        raise ConnectionTrouble(Reason.CONNECTION, f"{what}: {error}") from error
    except amqp.IncompatibleProtocolError as error:
        raise ConnectionTrouble(Reason.BAD_ANSWER, f"{what}: it does not speak AMQP 0-9-1") from error
    except amqp.ConnectionClosed as error:
        raise ConnectionTrouble(Reason.NO_ANSWER, f"{what}: {error.args[-1] if error.args else error}") from error
    except amqp.AMQPConnectionError as error:
        # its own error bears the number of its cause, and a number of TLS is none of the kernel's
        raise (error.__cause__ if isinstance(error.__cause__, OSError) else error) from None
    except amqp.InvalidFrameError as error:
        if "OpenOk" not in str(error):
            raise
        said = "it refused the virtual host: there is none of that name, or it is not for this user"
        raise ConnectionTrouble(Reason.CONNECTION, f"{what}: {said}") from error
