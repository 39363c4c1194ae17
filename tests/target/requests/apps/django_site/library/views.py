from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.views import View
from django.views.decorators.http import require_http_methods
from django.views.generic import TemplateView
from rest_framework.decorators import action, api_view
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet


def index(request, branch):
    links = "".join(f'<a href="books/{n}/">{n}</a>' for n in (4, 9))
    return HttpResponse(links + '<a href="/library/main/copies/00000000-0000-4000-8000-000000000007/">x</a>')


class Book(View):
    async def get(self, request, branch, pk):
        return JsonResponse({"id": pk}, status=200 if pk in (4, 9) else 404)

    async def post(self, request, branch, pk):
        return JsonResponse({})


def delete_book(request, branch, pk):
    raise RuntimeError("this must never be asked")


def copy(request, branch, copy):
    return JsonResponse({}, status=200 if copy.int & 0xFF == 7 else 404)


def archive(request, branch, year, page=1):
    return JsonResponse({"year": year})


def shelf(request, branch, number):
    return JsonResponse({"number": number})


class BookList(TemplateView):
    template_name = "list.html"


@require_http_methods(["POST", "PUT"])
def poll(request, branch):
    return JsonResponse({})


@login_required
def mine(request):
    return JsonResponse({})


class MemberViewSet(ViewSet):
    def list(self, request, branch):
        return Response({"results": [{"id": 21}, {"id": 22}]})

    def retrieve(self, request, branch, pk):
        return Response({"id": pk}, status=200 if pk in ("21", "22") else 404)

    def destroy(self, request, branch, pk):
        raise RuntimeError("this must never be asked")

    @action(detail=True)
    def loans(self, request, branch, pk):
        return Response([])


@api_view(["GET", "POST"])
def hello(request, branch):
    return Response({})
