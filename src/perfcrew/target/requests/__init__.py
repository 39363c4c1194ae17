"""How each endpoint is exercised: requests that are known to be answered, each tried once on the running target.

Takes values in this order: scenarios, a HAR file, an access log, examples of the OpenAPI document, ids found in other
answers, generated ones. Refuses to ask what the configuration does not allow, what reads as deleting or logging out,
and to count an endpoint that answers errors as measured: such a plan says why it is skipped.
"""

from perfcrew.target.requests.planning import TIME_USED_UP, Limits, plan

__all__ = ["TIME_USED_UP", "Limits", "plan"]
