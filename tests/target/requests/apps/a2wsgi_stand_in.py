"""The shape of the usual adapter from WSGI to ASGI: it keeps the application in `app`."""


class WSGIMiddleware:
    def __init__(self, app):
        self.app = app
