"""Secrets are blanked before anything leaves: by the rules of detect-secrets, and by a few for providers it lacks.

Its rules by entropy are left out: they take hashes and ids, of which evidence is full, for secrets. No rule is let
verify what it found, so that nothing is asked of anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from perfcrew.core.errors import ToolMissing

BLANK = "***"
_RULES = (
    *("artifactory.ArtifactoryDetector", "aws.AWSKeyDetector", "azure_storage_key.AzureStorageKeyDetector"),
    *("cloudant.CloudantDetector", "discord.DiscordBotTokenDetector"),
    *("github_token.GitHubTokenDetector", "gitlab_token.GitLabTokenDetector", "ibm_cloud_iam.IbmCloudIamDetector"),
    *("ibm_cos_hmac.IbmCosHmacDetector", "jwt.JwtTokenDetector", "keyword.KeywordDetector", "npm.NpmDetector"),
    *("mailchimp.MailchimpDetector", "openai.OpenAIDetector", "pypi_token.PypiTokenDetector"),
    *("sendgrid.SendGridDetector", "slack.SlackDetector", "softlayer.SoftlayerDetector", "stripe.StripeDetector"),
    *("square_oauth.SquareOAuthDetector", "telegram_token.TelegramBotTokenDetector", "twilio.TwilioKeyDetector"),
)
_KEY_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----.*?(?:-----END \1-----|\Z)", re.DOTALL)
_MORE = re.compile(
    r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,}"  # Anthropic, OpenAI's newer ones, OpenRouter
    r"|\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}"  # Google
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?"  # a JWT with its signature
    r"|\bhf_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{22,}|\bglpat-[A-Za-z0-9_-]{20,}"
    r"|\b(?:gsk|r8|pplx|fw|nvapi|csk)[_-][A-Za-z0-9_-]{28,}|\bxai-[A-Za-z0-9]{20,}"  # other servers of models
    r"|\bSG\.[\w-]{16,}\.[\w-]{16,}|\b(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{16,}"
)
_CARRIED = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\\?[\"']?\s*[:=]\s*\\?[\"']?)([^\n\"']{4,})"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)([A-Za-z0-9._~+/=-]{12,})")
_URL_PASSWORD = re.compile(r"(://[^\s:/@\"']{0,200}:)(?!\d{1,5}[/?])([^\s@/\"'][^\s@\"']{0,500})(?=@[\w\[])")
_URL_USER = re.compile(r"(://)([0-9A-Za-z_-]{20,})(?=@)")
_SECRET_WORD = (
    r"[\w.-]{0,40}(?:api[_-]?key|apikey|secret|passw(?:or)?d|passwd|passphrase|access[_-]?key|auth[_-]?token|"
    r"access[_-]?token|refresh[_-]?token|private[_-]?key|account[_-]?key|client[_-]?secret|credentials?)[\w-]{0,20}"
)
_VALUE = r"(?=[^\s&;]*\d)"
"""What has no digit is a name more often than a secret: a type, a column, an argument."""
_PARAMETER = re.compile(
    rf"(?i)([?&;](?:{_SECRET_WORD}|token|key|sig|signature|code|x-amz-(?:signature|security-token|credential)|pwd)=)"
    rf"{_VALUE}([^\s&;\"'<>#{{}}]{{6,}})"
)
_PAIR = re.compile(
    rf"(?i)(?<![\w.-])({_SECRET_WORD}(?::[ \t]+|=)){_VALUE}"
    r"([^\s\"'#,()\[\]{}$<\\]{6,})(?=[ \t]*(?:#|$|\\[nr]))",
    re.MULTILINE,
)
"""A line of YAML, of a .env file or of a Dockerfile: what stands there without quotes is a value, not a name."""
_CONNECTION = re.compile(r"(?i)(\b(?:pwd|password|accountkey|sharedaccesskey)=)([^\s;\"',()]{6,})(?=;)")
_BLANKED = (
    *((_MORE, ""), (_CARRIED, r"\1\2"), (_BEARER, r"\1\2"), (_URL_PASSWORD, r"\1"), (_URL_USER, r"\1")),
    *((_PARAMETER, r"\1"), (_PAIR, r"\1"), (_CONNECTION, r"\1")),
)
"""What is found by its form, and the part of it that stays."""
_LONG_LINE = 2000
"""Longer lines are scanned in pieces that overlap: the rules' expressions are not made for them."""
_OVERLAP = 300


class Scrubbed(NamedTuple):
    """The text with its secrets blanked, and how many there were."""

    text: str
    blanked: int


def there() -> bool:
    """Whether the scanner is installed."""
    return find_spec("detect_secrets") is not None


def scrub(text: str) -> Scrubbed:
    """Blank every secret. ToolMissing without the scanner: then nothing may leave."""
    count = 0
    text, n = _KEY_BLOCK.subn(rf"-----BEGIN \1-----{BLANK}", text)
    count += n
    for pattern, kept in _BLANKED:
        text, n = pattern.subn(kept + BLANK, text)
        count += n
    found = {secret for line in text.split("\n") for piece in _pieces(line) for secret in _found(piece)}
    for secret in sorted(found, key=len, reverse=True):
        count += text.count(secret)
        text = text.replace(secret, BLANK)
    return Scrubbed(text, count)


def _pieces(line: str) -> list[str]:
    if len(line) <= _LONG_LINE:
        return [line]
    return [line[at : at + _LONG_LINE] for at in range(0, len(line), _LONG_LINE - _OVERLAP)]


@lru_cache(maxsize=8192)
def _found(line: str) -> frozenset[str]:
    """The secrets of a line. Prompts of one run share most of theirs."""
    secrets = {str(secret).strip() for rule in _rules() for secret in rule(line)}
    return frozenset(secret for secret in secrets if _is_one(secret))


def _is_one(secret: str) -> bool:
    """Neither a blank, nor a short word, nor a name that code asks for: `os.environ[…]`, `settings.KEY`, `{value}`."""
    plain = re.fullmatch(r"[A-Za-z_][\w.]*(?:\(.*|\[.*)?|[{$%<].*|[\W_]*", secret)
    name = plain is not None and not re.search(r"\d", secret)
    return len(secret) >= 5 and BLANK not in secret and not name


@cache
def _rules() -> tuple[Callable[[str], Any], ...]:
    if not there():
        raise ToolMissing("detect-secrets is not installed", do="pip install 'perfcrew[models]'")
    found = []
    for name in _RULES:
        module, _, rule = name.partition(".")
        made = getattr(import_module(f"detect_secrets.plugins.{module}"), rule)()
        found.append(partial(_whole, made.denylist) if hasattr(made, "denylist") else made.analyze_string)
    return tuple(found)


def _whole(patterns: Iterable[re.Pattern[str]], line: str) -> Iterator[str]:
    """All that a rule matches: some rules give no more than a token's beginning, which is the group of their own."""
    for pattern in patterns:
        yield from (match.group(0) for match in pattern.finditer(line))
