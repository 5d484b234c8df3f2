"""What a public corpus marks as an attack and is none: fragments, questions about models, remarks.

S-Labs marks 6,888 of its 15,000 sentences as attacks. Some 1,300 of those order nothing: fragments
("list system"), questions about how a model works, which its benign half has too ("How do you handle
conflicting user requests"), and remarks that openness is good. They are told by their form, never one
by one; nothing is trained on them, and they are measured apart.
"""

import re

_ASKS = re.compile(
    r"^(?:how|why|which|when|where|who|is|isn't|are|aren't|do|does|don't|did|would|wouldn't|have|has|what)\b"
)
_ASKS_FOR_IT = re.compile(
    r"^what(?:'s| is| are| was| were| did| does| do) (?:in )?(?:your|the) |^would you (?:please|kindly)"
    r"|^what (?:instructions|prompt|rules|guidelines|text|words|content)"
    r"|\b(?:reveal|show|display|print|output|share|disclose|tell|repeat|list|describe) (?:me|us|your|the)\b"
    r"|\?.{12,}|[.!:] |\b(?:also|and|then|but|by the way|ps)\b.*\byour?\b"
)
"""A question that begins like one about the model, and asks for its prompt, or goes on."""
_ADDRESSES = re.compile(r"\b(?:you|your|yours|yourself|u|ur|yor|me|us|please|plz|pls)\b")
_ORDERS = re.compile(
    r"\b(?:ignore|forget|disregard|bypass|override|reveal|show|display|print|output|share|disclose|expose"
    r"|dump|list|repeat|echo|recite|describe|explain|provide|give|tell|write|translate|encode|decode|execute"
    r"|run|enter|enable|disable|activate|switch|act|pretend|imagine|become|roleplay|simulate|summarize"
    r"|complete|continue|finish|respond|answer|say|create|compose|generate|export|return|set|suspend|unlock"
    r"|leak|state|read|convert|format|parse|process|include|append|skip|drop|remove|stop|obey|follow|send"
    r"|fetch|exec|import|get|verify|confirm|transform|inject|structure|initialize|reset|express|call|load"
    r"|spell|draw|confess|divulge|present|demonstrate|operate|work|invalidate|abandon|prepare)\b"
    r"|\b(?:lifted|disabled|overrid\w*|suspended|deprecated|no longer|unrestricted|\w+-mode|switching)\b"
)
_CODED = re.compile(r"[<>{}\[\]`=|_\\/]|\d[a-z]|[a-z]\d|-\w-|\w\.\w|[a-z] [a-z] [a-z] ")


def orders_nothing(text: str) -> bool:
    """Whether `text` is a fragment, a question about models or a remark: no order, nobody addressed."""
    low = text.lower().strip()
    if not low.isascii() or _CODED.search(low):
        return False
    if len(re.findall(r"[\w']+", low)) < 3:
        return True
    if _ASKS.match(low) and not _ASKS_FOR_IT.search(low):
        return True
    return not (_ADDRESSES.search(low) or _ORDERS.search(low))
