"""What can be asked of the target: its routes, from its OpenAPI document and from the framework in its own interpreter.

Takes the running application for the document, and a second process of the target's interpreter for the places of the
handlers. Refuses to list what is no work of the application: static files, the documentation's own pages, websockets,
and HEAD or OPTIONS beside another method.
"""

from perfcrew.target.routes.find import RoutesFound, routes

__all__ = ["RoutesFound", "routes"]
