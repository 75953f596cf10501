"""The end date of a certificate that has run out, which a failed handshake does not tell."""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

HAS_EXPIRED = 10  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED
IGNORE_DATES = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name
TIMEOUT_S = 3.0


def has_expired(causes: Iterator[BaseException]) -> bool:
    """Whether a certificate was refused for its end date alone."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code == HAS_EXPIRED for cause in causes)


async def end_date(url: str, ca_file: str | None) -> datetime | None:
    """When the certificate of an https server ended; None where it cannot be learned.

    One more handshake, in which all but the dates is verified; nothing is sent over it.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        context.verify_flags |= IGNORE_DATES
        async with asyncio.timeout(TIMEOUT_S):
            return await _not_after(url, context)
    except (OSError, ValueError):
        return None


async def _not_after(url: str, context: ssl.SSLContext) -> datetime | None:
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
    try:
        certificate = writer.get_extra_info("peercert") or {}
        ends = certificate.get("notAfter")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if ends else None
    finally:
        writer.close()
