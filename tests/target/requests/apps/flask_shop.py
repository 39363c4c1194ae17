"""A Flask application: blueprints, converters, class-based views, decorators, static files."""

import functools
import uuid

from flask import Blueprint, Flask, abort, jsonify, redirect, request
from flask.views import MethodView
from werkzeug.routing import BaseConverter

app = Flask(__name__)
POSTS = [{"id": n, "slug": f"post-{n}", "token": str(uuid.UUID(int=n, version=4))} for n in range(5, 15)]


class YearConverter(BaseConverter):
    regex = "[12][0-9]{3}"


app.url_map.converters["year"] = YearConverter


def quiet(function):
    def wrapper(*args, **kwargs):  # says nothing of what it wraps
        return function(*args, **kwargs)

    wrapper.__name__ = function.__name__
    return wrapper


def login_required(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return redirect("/login?next=" + request.path)

    return wrapper


blog = Blueprint("blog", __name__, url_prefix="/blog", static_folder="static")


@blog.route("/")
def index():
    size = request.args.get("per_page", 10, type=int)
    return jsonify(POSTS[:size])


@blog.route("/<int:post_id>")
@quiet
def post(post_id):
    return jsonify(next((p for p in POSTS if p["id"] == post_id), None) or abort(404))


@blog.route("/<slug>/by-slug")
def by_slug(slug):
    return jsonify(next((p for p in POSTS if p["slug"] == slug), None) or abort(404))


@blog.route("/page/", defaults={"page": 1})
@blog.route("/page/<int(min=2, max=9):page>")
def page(page):
    return jsonify({"page": page})


@blog.route("/archive/<year:year>")
def archive(year):
    return jsonify({"year": year})


@blog.route("/<any(html, text):kind>/as")
def kind(kind):
    return jsonify({"kind": kind})


@blog.route("/<uuid:token>/token")
def token(token):
    return jsonify(next((p for p in POSTS if p["token"] == str(token)), None) or abort(404))


@app.route("/files/<path:name>")
def file(name):
    return jsonify({"name": name})


@app.route("/account")
@login_required
def account():
    return "never"


class Users(MethodView):
    def get(self):
        return jsonify([])

    def post(self):
        return jsonify({})


app.add_url_rule("/users", view_func=Users.as_view("users"))
app.register_blueprint(blog)


def build(name):
    made = Flask(name)
    made.add_url_rule("/made", view_func=index)
    return made
