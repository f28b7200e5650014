"""The options of curl (https://curl.se/docs/manpage.html) that are known here, and what becomes of each."""

from __future__ import annotations

from types import MappingProxyType

SHORT = MappingProxyType(
    dict(
        pair.split("=", 1)
        for pair in (
            "X=request H=header d=data F=form u=user G=get b=cookie A=user-agent e=referer L=location k=insecure "
            "I=head T=upload-file m=max-time s=silent S=show-error i=include v=verbose f=fail o=output O=remote-name "
            "w=write-out x=proxy c=cookie-jar D=dump-header N=no-buffer #=progress-bar 4=ipv4 6=ipv6 0=http1.0 "
            "g=globoff E=cert q=disable J=remote-header-name j=junk-session-cookies Z=parallel r=range z=time-cond "
            "y=speed-time Y=speed-limit"
        ).split()
    )
)
"""Letter → long name."""

USED_WITH_VALUE = frozenset(
    "request header data data-ascii data-raw data-binary data-urlencode json form form-string user cookie user-agent "
    "referer upload-file max-time url url-query oauth2-bearer".split()
)
USED_ALONE = frozenset("get location head insecure".split())

SILENT = frozenset(
    "silent show-error include verbose compressed progress-bar no-progress-meter fail fail-with-body no-buffer globoff "
    "http1.1 http2 path-as-is disable location-trusted ipv4 ipv6 basic styled-output no-styled-output".split()
)
"""Options that change only what is shown, or nothing for a probe."""

SILENT_WITH_VALUE = frozenset("output write-out stderr trace trace-ascii".split())

NOTED = frozenset(
    "remote-name http1.0 http2-prior-knowledge http3 parallel remote-header-name junk-session-cookies tlsv1.2 tlsv1.3 "
    "ssl-reqd digest ntlm negotiate anyauth post301 post302 post303 retry-connrefused retry-all-errors tcp-nodelay "
    "create-dirs".split()
)
"""Options without a value that are left out, and said."""

NOTED_WITH_VALUE = frozenset(
    "proxy cookie-jar dump-header connect-timeout retry retry-delay retry-max-time resolve connect-to cacert cert key "
    "cert-type key-type pass limit-rate range time-cond speed-time speed-limit max-redirs interface local-port noproxy "
    "proxy-user proxy-header keepalive-time max-filesize ciphers tls-max aws-sigv4 unix-socket".split()
)
"""Options with a value that are left out, and said."""

REMEDIES = MappingProxyType(
    {
        "cacert": "name the file under `tls: {ca: …}` of the system",
        "cert": "name the file under `tls: {cert: …}` of the system",
        "key": "name it under `tls: {key: …}` of the system",
        "retry": "write `retry: {times: …}` into the step if a run may hide a trouble",
        "proxy": "a probe goes straight to the system",
        "digest": "only basic and bearer are known: use a session",
        "ntlm": "only basic and bearer are known: use a session",
        "negotiate": "only basic and bearer are known: use a session",
        "aws-sigv4": "requests are not signed: use a session",
    }
)
"""What to do instead of an option that is left out."""


def takes_value(option: str) -> bool:
    """Whether the next word belongs to an option (its long name)."""
    return option in USED_WITH_VALUE or option in NOTED_WITH_VALUE or option in SILENT_WITH_VALUE


def is_known(option: str) -> bool:
    """Whether anything is known of an option (its long name)."""
    return takes_value(option) or option in USED_ALONE or option in SILENT or option in NOTED
